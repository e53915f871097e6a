"""What a home holds, from its plan alone."""

from __future__ import annotations

from functools import lru_cache

from batchsim.scenes.categories import CATEGORIES, category_of
from batchsim.scenes.homes.floor_plan.plan import Piece
from batchsim.scenes.homes.furniture import BUILDERS
from batchsim.scenes.homes.geometry.shapes import Parts
from batchsim.scenes.homes.home import DETAILS, plan_home
from batchsim.scenes.labels import LABELS


@lru_cache(maxsize=4096)
def home_categories(seed: int, detail: str = "low") -> tuple[str, ...]:
    """Categories (`scenes.categories`) of the furniture of `generate_home(seed, detail)`, in the order of their ids."""
    names: set[str] = set()
    for piece in {piece.kind: piece for piece in plan_home(seed).pieces}.values():
        names |= _categories_of(piece, DETAILS[detail])
    return tuple(name for name in CATEGORIES if name in names)


_of_kind: dict[tuple[str, int], frozenset[str]] = {}


def _categories_of(piece: Piece, detail: int) -> frozenset[str]:
    """The categories of the parts of a piece of furniture; the same for all pieces of a kind."""
    key = piece.kind, detail
    if key not in _of_kind:
        parts = Parts(detail)
        BUILDERS[piece.kind](parts, piece)
        found = {category_of(LABELS[label]) for label, count in parts.labels if count}
        _of_kind[key] = frozenset(name for name in found if name is not None)
    return _of_kind[key]
