"""`Variation`: which variant of a generated home to make."""

from __future__ import annotations

from dataclasses import dataclass, fields

LARGEST = 1000


@dataclass(frozen=True)
class Variation:
    """Which variant of a home to make; 0: as the seed decides.

    Attributes:
        look: Colours and textures; those of other numbers are in no home of the sets.
        furniture: Which furniture there is, and where it stands.
        light: Brightness and tint of all surfaces.
    """

    look: int = 0
    furniture: int = 0
    light: int = 0

    @property
    def suffix(self) -> str:
        """The options of a scene's name that give this variation."""
        return "&".join(f"{f.name}={getattr(self, f.name)}" for f in fields(self) if getattr(self, f.name))

    def __bool__(self) -> bool:
        return self != Variation()
