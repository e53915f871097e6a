"""Which glTF extensions are understood. Unknown ones are refused if required, and named in a warning if only used."""

from __future__ import annotations

import warnings

from PIL import features

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.gltf.container import Container
from batchsim.scenes.sources.surfaces.images import can_decode_ktx2

BASISU = "KHR_texture_basisu"
WEBP = "EXT_texture_webp"
AVIF = "EXT_texture_avif"
DDS = "MSFT_texture_dds"

_UNDERSTOOD = frozenset(
    (
        "EXT_mesh_gpu_instancing",
        "EXT_meshopt_compression",
        "KHR_draco_mesh_compression",
        "KHR_materials_emissive_strength",
        "KHR_materials_pbrSpecularGlossiness",
        "KHR_mesh_quantization",
        "KHR_meshopt_compression",
        "KHR_node_visibility",
        "KHR_texture_transform",
        BASISU,
        WEBP,
        AVIF,
        DDS,
    )
)
# These change reflections, lights, metadata or animations, none of which batchsim shows.
_WITHOUT_EFFECT = frozenset(
    (
        "ADOBE_materials_thin_transparency",
        "EXT_lights_ies",
        "EXT_lights_image_based",
        "EXT_mesh_features",
        "EXT_structural_metadata",
        "FB_ngon_encoding",
        "GODOT_single_root",
        "KHR_animation_pointer",
        "KHR_lights_punctual",
        "KHR_materials_anisotropy",
        "KHR_materials_clearcoat",
        "KHR_materials_diffuse_transmission",
        "KHR_materials_dispersion",
        "KHR_materials_ior",
        "KHR_materials_iridescence",
        "KHR_materials_sheen",
        "KHR_materials_specular",
        "KHR_materials_transmission",
        "KHR_materials_unlit",
        "KHR_materials_variants",
        "KHR_materials_volume",
        "KHR_physics_rigid_bodies",
        "KHR_xmp",
        "KHR_xmp_json_ld",
        "MSFT_lod",
        "MSFT_packing_normalRoughnessMetallic",
        "MSFT_packing_occlusionRoughnessMetallic",
    )
)


def check_extensions(container: Container) -> None:
    """Raises `SceneError` if the file requires what is not understood; warns if it merely uses it."""
    header, path = container.header, container.path
    known = _UNDERSTOOD | _WITHOUT_EFFECT
    required = sorted(set(header.extensionsRequired) - known)
    if required:
        raise SceneError(
            f"{path}: requires the glTF extension{'s' * (len(required) > 1)} {', '.join(required)}, which batchsim "
            "does not understand. Export the file without."
        )
    if BASISU in header.extensionsRequired and not can_decode_ktx2():
        raise SceneError(
            f"{path}: requires {BASISU}, for which opengl-basisu is needed: pip install --pre 'batchsim[scans]'."
        )
    for name, feature in ((WEBP, "webp"), (AVIF, "avif")):
        if name in header.extensionsRequired and not features.check(feature):
            raise SceneError(f"{path}: requires {name}, but the installed Pillow cannot read such images.")
    unknown = sorted(set(header.extensionsUsed) - known - set(required))
    if unknown:
        warnings.warn(
            f"{path}: uses the glTF extension{'s' * (len(unknown) > 1)} {', '.join(unknown)}, which batchsim ignores.",
            stacklevel=2,
        )
