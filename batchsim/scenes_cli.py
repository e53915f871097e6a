"""Generates, imports, checks, inspects and draws scenes."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Union

import tyro

from batchsim.errors import BatchSimError
from batchsim.process.arguments import parse_arguments
from batchsim.process.command_line import run_command
from batchsim.scenes import SceneError, load
from batchsim.scenes.atomic_files import write_user_file
from batchsim.scenes.check import Check
from batchsim.scenes.cli import Generate, Import, Info, run


@dataclass(frozen=True)
class Preview:
    """Draw a scene: a top-down map of each storey beside views from inside."""

    scene: tyro.conf.Positional[str]
    """A file, or a name such as "homes:val/3" or "maze"."""
    out: Path = Path("preview.png")
    """Image file to write (.png)."""
    views: int = 6
    """Number of views."""
    width: int = 480
    """Width of a view, pixels."""
    height: int = 360
    """Height of a view, pixels."""
    pixels_per_metre: float = 40.0
    """Scale of the map, before it is scaled to the height of the views."""
    json: bool = False
    """Print one JSON object on stdout and nothing else."""

    def run(self) -> dict:
        """Draws the image and writes it."""
        from PIL import Image

        from batchsim.preview import preview

        if self.out.suffix.lower() != ".png":
            raise SceneError(f"{self.out}: the image's name must end in .png.")
        if not self.pixels_per_metre > 0:
            raise SceneError(f"--pixels-per-metre is {self.pixels_per_metre}; expected a positive number.")
        scene = load(self.scene)
        drawn = preview(scene, self.views, self.width, self.height, self.pixels_per_metre)
        packed = io.BytesIO()
        Image.fromarray(drawn.image).save(packed, "png")
        write_user_file(self.out, packed.getvalue())
        return {
            "scene": scene.name,
            "image": str(self.out),
            "width": drawn.image.shape[1],
            "height": drawn.image.shape[0],
            "storeys_m": drawn.map.levels.tolist(),
            "views": [
                {"position": position.tolist(), "heading": float(heading)}
                for position, heading in zip(drawn.position, drawn.heading, strict=True)
            ],
        }

    def say(self, result: dict) -> str:
        """Returns the result in words."""
        return (
            f"{result['image']}: {result['width']} x {result['height']} pixels, "
            f"{len(result['storeys_m'])} storeys, {len(result['views'])} views."
        )


@dataclass(frozen=True)
class Settings:
    """Print the named settings of published benchmarks: every option, the version, and where they differ."""

    name: tyro.conf.Positional[str | None] = None
    """One of them; all without it."""
    json: bool = False
    """Print one JSON object on stdout and nothing else."""

    def run(self) -> dict:
        """Returns the settings by name."""
        from batchsim.settings import SETTINGS, find_setting

        chosen = SETTINGS.values() if self.name is None else [find_setting(self.name, SETTINGS)]
        return {setting.name: setting.to_json() for setting in chosen}

    def say(self, result: dict) -> str:
        """Returns the settings in words."""
        lines = []
        for name, setting in result.items():
            task = dict(setting["task"])
            lines += [f"{name}, version {setting['version']}", f"  task = {task.pop('class')}"]
            lines += [f"  {option} = {value}" for option, value in (task | setting["options"]).items()]
            lines += [f"  differs: {sentence}" for sentence in setting["differences"]] + [""]
        return "\n".join(lines).rstrip()


_COMMANDS: dict[str, type] = {
    "generate": Generate,
    "import": Import,
    "check": Check,
    "info": Info,
    "preview": Preview,
    "settings": Settings,
}


def main(
    arguments: Sequence[str] | None = None,
    more: Mapping[str, type] | None = None,
    errors: tuple[type[Exception], ...] = (),
) -> int:
    """Runs `batchsim-scenes` and returns the exit code.

    Args:
        arguments: The command line (default: that of the process).
        more: Subcommands of packages above this one, by name.
        errors: Their exceptions that become one line on stderr.
    """
    commands = [Annotated[cls, tyro.conf.subcommand(name)] for name, cls in (_COMMANDS | dict(more or {})).items()]
    union: Any = Union[tuple(commands)]  # noqa: UP007  (made while running)

    def command() -> int:
        return run(parse_arguments(union, arguments, "batchsim-scenes", description=__doc__))

    return run_command("batchsim-scenes", command, (SceneError, BatchSimError, *errors))


if __name__ == "__main__":
    sys.exit(main())
