"""Top-down maps of scenes, each shared by many episodes."""

from __future__ import annotations

from dataclasses import dataclass

from batchsim.agents.report.images import data_uri, palette_png
from batchsim.scenes import Scene
from batchsim.scenes.maps.top_down import OUTSIDE, TopDownMap, top_down


@dataclass(frozen=True, eq=False)
class MapImage:
    """One scene's map: `plan` locates points in it, `png` is the image file."""

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
        """The image as a data URI."""
        return data_uri(self.png)


def draw_map(scene: Scene) -> MapImage:
    """Draw the scene's map as a palette PNG that is transparent outside the scene."""
    plan = top_down(scene)
    return MapImage(scene, plan, palette_png(plan.image, OUTSIDE))
