"""Scenes from above, as images that many episodes share."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from batchsim.agents.errors import AgentError
from batchsim.scenes import Scene
from batchsim.scenes.maps.top_down import OUTSIDE, TopDownMap, top_down


@dataclass(frozen=True, eq=False)
class MapImage:
    """One scene's map: `plan` says where points lie, `png` is the image's file, of `width` x `height` pixels."""

    scene: Scene
    plan: TopDownMap
    png: bytes

    @property
    def width(self) -> int:
        """Pixels, all storeys together."""
        return self.plan.image.shape[1]

    @property
    def height(self) -> int:
        """Pixels."""
        return self.plan.image.shape[0]

    @property
    def uri(self) -> str:
        """The image as a data address."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


def draw_map(scene: Scene) -> MapImage:
    """The scene's map with a palette PNG, transparent outside."""
    plan = top_down(scene)
    return MapImage(scene, plan, palette_png(plan.image, OUTSIDE))


def palette_png(image: np.ndarray, transparent: tuple[int, int, int] | None = None) -> bytes:
    """A PNG of `image` uint8 `[H, W, 3]`, which has at most 256 colours; `transparent` names the one to leave out."""
    packed = image.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    colors, indices = np.unique(packed, return_inverse=True)
    if len(colors) > 256:
        raise AgentError(f"The image has {len(colors)} colours; a palette holds 256.")
    indexed = Image.frombytes("P", image.shape[1::-1], indices.astype(np.uint8).tobytes())
    indexed.putpalette(np.stack([colors >> 16, colors >> 8 & 255, colors & 255], 1).astype(np.uint8).tobytes())
    clear = np.flatnonzero(colors == int(np.dot(transparent, [1 << 16, 1 << 8, 1]))) if transparent else ()
    out = io.BytesIO()
    indexed.save(out, "PNG", optimize=True, **({"transparency": int(clear[0])} if len(clear) else {}))
    return out.getvalue()
