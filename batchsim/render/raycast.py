"""Ray casting backend: compute shaders that traverse each scene's bounding volume hierarchy.

All scenes lie in two buffers, nodes and triangles, so one dispatch draws any mixture of them. A first program finds the
nearest triangle of every pixel and writes depth; `Shading` computes labels and colours from the triangles if a sensor
needs them.

One thread casts a patch of pixels (see shaders/raycast_trace.comp.glsl), whose best size depends on the device, see
`Patches`. Measured on llvmpipe, 2 cores, views/s of 64x64 depth in generated homes of 1,200, 29,000 and 206,000
triangles: patches of one pixel 2,400, 2,000 and 2,000; of 4x4 pixels 15,200, 3,600 and 900, since a patch visits many
triangles if they are small; 4x4 pixels of which the expensive ones are cast again pixel by pixel 14,400, 5,000 and
3,700.

What did not help on llvmpipe: wider SIMD (LP_NATIVE_VECTOR_WIDTH changes nothing); leaves of 4 or 8 triangles instead
of 2 or 3 (within 3%); a stack in registers, or one entry for all waiting children of a node (equal); visiting a node
again instead of storing the order of its children (a quarter slower); casting expensive patches again as 2x2 instead of
single pixels (13% slower). Nodes in a texture instead of a buffer are 12% faster for single rays and 6% for patches.

llvmpipe silently ends any shader's loops after 65,535 rounds in all: loops over pixels must be unrolled by the
compiler, which does so up to 4x4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import moderngl
import numpy as np

from batchsim.errors import OptionError, RenderError
from batchsim.render import shading
from batchsim.render.backend import SENSORS
from batchsim.render.camera import AnyCamera, Camera
from batchsim.render.opengl.storage_buffers import check_storage, empty_storage_buffer, filled_storage_buffer
from batchsim.render.scene_data.scene_buffers import SceneBuffers
from batchsim.render.shaders import load_shader

_GROUP = 8  # threads along each side of a work group
_MAX_GROUPS = 65535  # work groups along one axis of a dispatch, the least that OpenGL guarantees
_SPARE_STACK = 8  # entries for the deeper trees of later scenes, which otherwise need the program compiled again
_RAYS = 6  # binding of the table of rays, which no program needs besides the list of patches
_FEWER_VIEWS = "Use fewer views or smaller images."


@dataclass(frozen=True)
class Patches:
    """How pixels are distributed over threads.

    Attributes:
        width: Pixels along x that one thread casts together, 1 to 4.
        height: Pixels along y that one thread casts together, 1 to 4.
        budget: Boxes and triangles that a patch may visit before its pixels are cast one by one; 0 = no limit.
    """

    width: int = 1
    height: int = 1
    budget: int = 0

    def __post_init__(self) -> None:
        if not (1 <= self.width <= 4 and 1 <= self.height <= 4 and self.budget >= 0):
            raise OptionError(f"{self}: expected width and height from 1 to 4 and a budget of 0 or more.")
        if self.budget and self.patches_per_group * self.width * self.height != _GROUP * _GROUP:
            raise OptionError(f"{self}: with a budget, width times height must divide {_GROUP * _GROUP}.")

    @property
    def patches_per_group(self) -> int:
        """Number of patches whose pixels fill one work group."""
        return _GROUP * _GROUP // (self.width * self.height)

    @staticmethod
    def for_device(context: moderngl.Context) -> Patches:
        """Returns what is best on the device: a CPU's SIMD units profit from patches, a GPU has threads to spare."""
        if "llvmpipe" in str(context.info["GL_RENDERER"]):
            return Patches(4, 4, 64)
        return Patches()


class RaycastBackend:
    """See `RenderBackend` and `MakeBackend`; `scenes` must be prepared with their trees.

    Args:
        context, scenes, num_views, camera, views, outputs: See `MakeBackend`.
        patches: How pixels are distributed over threads; None chooses for the device. Cameras with a table of rays
            always have single pixels.

    Raises:
        RenderError: A buffer exceeds what the driver allows.
        OptionError: `outputs` names an unknown sensor.
    """

    def __init__(
        self,
        context: moderngl.Context,
        scenes: SceneBuffers,
        num_views: int,
        camera: AnyCamera,
        views: moderngl.Buffer,
        outputs: Mapping[str, moderngl.Buffer],
        patches: Patches | None = None,
    ) -> None:
        self.context = context
        self.camera = camera
        self.num_views = num_views
        self._views = views
        self._rays = make_ray_buffer(context, camera)
        self.patches = Patches() if self._rays else patches or Patches.for_device(context)
        self._outputs = dict(outputs)
        self._check_outputs()
        self._scenes = scenes
        self._shading = None
        if set(outputs) & set(shading.SENSORS):
            self._shading = shading.Shading(context, scenes, num_views, camera, views, outputs, self._rays)
        self._tracing: list[moderngl.ComputeShader | moderngl.Buffer] = []
        self._compile_trace()

    def _check_outputs(self) -> None:
        unknown = set(self._outputs) - set(SENSORS)
        if unknown or not self._outputs:
            raise OptionError(f"sensors={tuple(self._outputs)!r}: expected some of {', '.join(SENSORS)}.")
        pixels = self.num_views * self.camera.height * self.camera.width
        sizes = {"depth": 4 * pixels, "semantic": 4 * pixels, "instance": 4 * pixels, "rgb": 12 * (-(-pixels // 4))}
        for name, buffer in self._outputs.items():
            if buffer.size < sizes[name]:
                raise RenderError(f"The buffer for {name} has {buffer.size} bytes; expected at least {sizes[name]}.")
            check_storage(self.context, f"{self.num_views} images of {name}", sizes[name], _FEWER_VIEWS)

    def _compile_trace(self) -> None:
        """Compiles the tracing programs with a stack for the deepest of the scenes' trees."""
        for resource in self._tracing:
            resource.release()
        self._tracing = []
        self._stack_size = self._scenes.stack_size + (_SPARE_STACK if self._scenes.replaceable else 0)
        camera, patches = self.camera, self.patches
        constants = {
            "WIDTH": camera.width,
            "HEIGHT": camera.height,
            "NEAR": camera.near,
            "COARSE_W": patches.width,
            "COARSE_H": patches.height,
            "STACK_SIZE": self._stack_size,
            "WRITE_DEPTH": int("depth" in self._outputs),
            "WRITE_HIT": int(self._shading is not None),
            "RAY_TABLE": _RAYS if self._rays else 0,
        }
        if isinstance(camera, Camera) and not self._rays:
            constants["TAN_HALF_WIDTH"] = float(camera.tan_half_width)
        columns, rows = -(-camera.width // patches.width), -(-camera.height // patches.height)
        self._groups = -(-columns // _GROUP), -(-rows // _GROUP)
        self._trace = self._program(
            "raycast_trace.comp", **constants, **_threads(patches), BUDGET=patches.budget, FROM_LIST=0
        )
        self._views_per_pass = min(self.num_views, _MAX_GROUPS)
        self._trace_listed: moderngl.ComputeShader | None = None
        if patches.budget:
            self._views_per_pass = max(
                1, min(self.num_views, _MAX_GROUPS * patches.patches_per_group // (columns * rows))
            )
            listed = 16 + 4 * columns * rows * self._views_per_pass
            self._listed = empty_storage_buffer(self.context, "Patches", listed, _FEWER_VIEWS)
            self._tracing.append(self._listed)
            self._trace_listed = self._program(
                "raycast_trace.comp", **constants, **_threads(Patches()), BUDGET=0, FROM_LIST=1
            )

    def _program(self, name: str, **constants: float) -> moderngl.ComputeShader:
        program = self.context.compute_shader(load_shader(name, **constants))
        self._tracing.append(program)
        return program

    def render(self, count: int) -> None:
        """See `RenderBackend`."""
        if not 0 <= count <= self.num_views:
            raise OptionError(f"count={count}: expected 0 to {self.num_views}.")
        if self._scenes.stack_size > self._stack_size:
            self._compile_trace()
        scenes = self._scenes.buffers
        self._bind({0: self._views, 1: scenes["table"], 2: scenes["nodes"], 3: scenes["triangles"]})
        if "depth" in self._outputs:
            self._outputs["depth"].bind_to_storage_buffer(4)
        if self._shading is not None:
            self._shading.hits.bind_to_storage_buffer(5)
        if self._rays:
            self._rays.bind_to_storage_buffer(_RAYS)
        for first in range(0, count, self._views_per_pass):
            self._trace_pass(first, min(self._views_per_pass, count - first))
        if self._shading is not None:
            self.context.memory_barrier()
            self._shading.run(count)
        self.context.memory_barrier()

    def _trace_pass(self, first: int, count: int) -> None:
        _set(self._trace, "first_view", first)
        if self._trace_listed is None:
            self._trace.run(*self._groups, count)
            return
        self._listed.write(np.array([0, 1, 1, 0], np.uint32))
        self._listed.bind_to_storage_buffer(6)
        self._trace.run(*self._groups, count)
        self.context.memory_barrier()
        _set(self._trace_listed, "first_view", first)
        self._trace_listed.run_indirect(self._listed)
        self.context.memory_barrier()

    def _bind(self, buffers: Mapping[int, moderngl.Buffer]) -> None:
        for binding, buffer in buffers.items():
            buffer.bind_to_storage_buffer(binding)

    def release(self) -> None:
        """Releases the backend's own GL objects."""
        for resource in self._tracing:
            resource.release()
        if self._rays:
            self._rays.release()
        if self._shading is not None:
            self._shading.release()


def make_ray_buffer(context: moderngl.Context, camera: AnyCamera) -> moderngl.Buffer | None:
    """Returns the camera's table of rays as a GL buffer; None for a pinhole camera."""
    table = camera.rays()
    return None if table is None else filled_storage_buffer(context, "Rays", table, "Use smaller images.")


def _threads(patches: Patches) -> dict[str, int]:
    """Returns the constants of the tracing program that describe a thread and a work group."""
    return {
        "PATCH_W": patches.width,
        "PATCH_H": patches.height,
        "GROUP_W": _GROUP,
        "GROUP_H": _GROUP,
        "LISTED_PER_GROUP": patches.patches_per_group,
    }


def _set(program: moderngl.ComputeShader, name: str, value: int) -> None:
    """Sets a uniform, unless the compiler removed it."""
    if name in program:
        program[name] = value
