"""Noise of depth images: the model of a PrimeSense camera used with the Redwood data sets.

Choi, Zhou and Koltun, "Robust Reconstruction of Indoor Scenes" (CVPR 2015); as in habitat-sim's
`RedwoodDepthNoiseModel`. The distortion table belongs to the authors (`redwood-depth-dist-model.npy`, from
redwood-data.org) and is optional.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.noise.normal import draw_normal
from batchsim.option_checks import real_number

FARTHEST = 10.0
"""Metres; what is farther away is not seen."""
BASELINE = 35.130
"""Metres times disparity."""
PIXEL_DEVIATION = 0.25
DISPARITY_DEVIATION = 0.027778
STEPS = 8
"""Disparity is rounded to this many steps a unit."""
TABLE_SHAPE = (80, 80, 5)

_PURPOSE = 3


@dataclass(frozen=True)
class RedwoodDepth:
    """Moves pixels, distorts depth by a table, and adds noise to disparity, which is rounded to eighths.

    Args:
        multiplier: What the noise of disparity is multiplied by.
        table: File of the distortion table, `.npy`, shape (80, 80, 5); None: no distortion.

    Raises:
        OptionError: If the table cannot be read or has another shape.
    """

    multiplier: float = 1.0
    table: str | None = None
    _factors: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        real_number("multiplier", self.multiplier, 0, 10)
        if self.table is not None:
            self._factors["cpu"] = _read_table(Path(self.table))

    def __call__(self, depth: Tensor, seed: Tensor, counter: Tensor) -> Tensor:
        """Returns noisy depth.

        Args:
            depth: float32 `[N, H, W, 1]`, metres, 0 = nothing.
            seed: int64 `[N]`, the stream of each image.
            counter: int64 `[N]`, the place in it.
        """
        count, height, width = depth.shape[:3]
        normal = draw_normal(seed, counter, _PURPOSE, 3 * height * width).view(count, 3, height, width)
        row = torch.arange(height, device=depth.device).view(-1, 1) + PIXEL_DEVIATION * normal[:, 0]
        column = torch.arange(width, device=depth.device) + PIXEL_DEVIATION * normal[:, 1]
        row = (row.clamp(0, height - 1) + 0.5).long().clamp(max=height - 1)
        column = (column.clamp(0, width - 1) + 0.5).long().clamp(max=width - 1)
        image = torch.arange(count, device=depth.device).view(-1, 1, 1)
        metres = depth[image, row - row % 2, column - column % 2, 0]
        metres = metres / self._distortion(metres, row, column, height, width)
        disparity = BASELINE / metres + DISPARITY_DEVIATION * self.multiplier * normal[:, 2]
        steps = (disparity * STEPS).round()
        seen = (metres > 0) & (metres < FARTHEST) & metres.isfinite() & (steps > 0)
        return torch.where(seen, BASELINE * STEPS / steps, 0.0).unsqueeze(-1)

    def _distortion(self, metres: Tensor, row: Tensor, column: Tensor, height: int, width: int) -> Tensor | float:
        """Returns the factor of each pixel, interpolated over depth between 1, 3, 5, 7 and 9 metres."""
        if self.table is None:
            return 1.0
        key = str(metres.device)
        if key not in self._factors:
            self._factors[key] = self._factors["cpu"].to(metres.device)
        y = (row / max(height - 1, 1) * 479 + 0.5).long() // 6
        x = (column / max(width - 1, 1) * 639 + 0.5).long() // 8
        after = ((metres + 1) / 2).long()
        share = (metres - (2 * after - 1)) / 2
        table = self._factors[key]
        first, second = table[y, x, (after - 1).clamp(0, 4)], table[y, x, after.clamp(0, 4)]
        factor = (1 - share) * first + share * second
        return torch.where(factor > 1e-5, factor, torch.inf)


def _read_table(path: Path) -> Tensor:
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise OptionError(f"table={str(path)!r}: cannot be read as an .npy file ({error}).") from None
    if not isinstance(table, np.ndarray) or table.shape != TABLE_SHAPE or table.dtype.kind != "f":
        found = f"{table.dtype} {table.shape}" if isinstance(table, np.ndarray) else type(table).__name__
        raise OptionError(f"table={str(path)!r}: expected real numbers of shape {TABLE_SHAPE}; got {found}.")
    return torch.as_tensor(table, dtype=torch.float32)
