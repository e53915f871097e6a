"""Every shader that the backends compile, in its variants for CPUs and GPUs, against the reference compiler."""

import re
import shutil
import subprocess
from itertools import product

import pytest

from batchsim.render import batch_renderer, raster, raycast, shading
from batchsim.render.opengl.context import create_context
from batchsim.render.scene_data import texture_pool

VALIDATOR = shutil.which("glslangValidator") or shutil.which("glslang")
SENSORS = [("depth",), ("rgb",), ("semantic",), ("depth", "rgb", "semantic")]


@pytest.fixture
def sources(monkeypatch):
    """A list of (name, source) of every shader that is loaded from now on."""
    found = []
    for module in (raster, raycast, shading, texture_pool):

        def load(name, _load=module.load_shader, **constants):
            source = _load(name, **constants)
            found.append((name, source))
            return source

        monkeypatch.setattr(module, "load_shader", load)
    return found


@pytest.fixture
def gpu_driver(monkeypatch):
    """Contexts that say they draw on a GPU, so that shaders are compiled as they are there."""

    def create(device):
        made = create_context(device)
        made._info = dict(made.info) | {"GL_RENDERER": "a GPU"}
        return made

    monkeypatch.setattr(batch_renderer, "create_context", create)


def check(sources, folder):
    distinct = {source: name for name, source in sources}
    files = []
    for number, (source, name) in enumerate(distinct.items()):
        base, stage = name.rsplit(".", 1)
        files.append(folder / f"{base}-{number}.{stage}")
        files[-1].write_text(source)
    result = subprocess.run([VALIDATOR, *files], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert "WARNING" not in result.stdout
    return {name for name, _ in sources}, len(distinct)


@pytest.mark.skipif(VALIDATOR is None, reason="needs glslangValidator (Debian: glslang-tools)")
@pytest.mark.parametrize("device", ["CPU", "GPU"])
def test_every_shader_is_valid(homes, one_room, make_renderer, sources, tmp_path, request, device):
    if device == "GPU":
        request.getfixturevalue("gpu_driver")
    for backend, sensors in product(("raycast", "raster"), SENSORS):
        make_renderer(homes[:1], 300, 17, 9, sensors=sensors, backend=backend)
        make_renderer([one_room], 2, sensors=sensors, backend=backend, replaceable_scenes=True)
    names, count = check(sources, tmp_path)
    everything = {"raycast_trace.comp", "shade.comp", "cull.comp", "raster.vert", "raster_hit.frag", "nothing.frag"}
    assert names == everything | {"raster_depth.comp", "mip_level.comp"}
    assert count >= 20


@pytest.mark.skipif(VALIDATOR is None, reason="needs glslangValidator (Debian: glslang-tools)")
def test_edge_functions_are_not_contracted(one_room, make_renderer, sources, tmp_path):
    """Two triangles must compute exact negatives for the edge they share, also where compilers fuse products and sums.

    SPIR-V marks what may not be fused with NoContraction.
    """
    make_renderer([one_room], 1, backend="raycast")
    file = tmp_path / "trace.comp"
    file.write_text(next(source for name, source in sources if name == "raycast_trace.comp"))
    options = ["-G", "--aml", "--amb", "-H", "-o", tmp_path / "trace.spv"]
    listing = subprocess.run([VALIDATOR, *options, file], capture_output=True, text=True, check=True).stdout
    exact = set(re.findall(r"Decorate (\d+)\S* *NoContraction", listing))
    for function, count in (("exact_cross", 3), ("sides", 5)):
        body = re.search(rf"\d+\({function}\S*\):[^\n]*Function.*?FunctionEnd", listing, re.DOTALL)[0]
        operations = re.findall(r"(\d+)\S*:\s+\S+ (?:FMul|FSub|FAdd|VectorTimesScalar|Dot|ExtInst)", body)
        assert len(operations) == count
        assert set(operations) <= exact
