"""`ResidentObjects`: the goals of resident scenes that are objects, as tensors on the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from batchsim.scenes.categories import category_table
from batchsim.world.navigation_data import NavigationData
from batchsim.world.object_goals import ObjectGoals
from batchsim.world.ragged_tensor import RaggedTensor

_NONE = -1


class ResidentObjects:
    """Which goals of each slot are objects of which category, and the images that show single objects.

    Goals are the numbers that `ResidentScenes.goal_distance` takes. Categories are positions in `categories`: the
    standard ones, then those that the first scenes bring; other names of scenes that come later are not goals.

    Args:
        per_scene: The scenes' data, by slot.
        device: Where to store the tensors.
        replaceable: Whether scenes can be replaced later.

    Attributes:
        categories: Names of the categories.
        category_goal: int64 `[K, categories]`, the goal that stands for any object of a category, -1 if there is none.
        category_floor: float32 `[K, categories, 2]`, height of its lowest and highest view point, metres.
        object_count: int64 `[K]`, number of single objects; `first_object` int64 `[K]`, the goal of the first of them.
        image_count: int64 `[K]`, number of images.
    """

    def __init__(self, per_scene: Sequence[NavigationData], device: torch.device, replaceable: bool) -> None:
        goals = [_of(data) for data in per_scene]
        self.categories = category_table(own.categories for own in goals)
        self._number = {name: k for k, name in enumerate(self.categories)}
        self.masks: dict[tuple[bool, ...], Tensor] = {}
        shape = len(per_scene), len(self.categories)
        self.category_goal = torch.full(shape, _NONE, dtype=torch.int64, device=device)
        self.category_floor = torch.zeros((*shape, 2), device=device)
        self.object_count, self.first_object, self.image_count = (
            torch.zeros(len(per_scene), dtype=torch.int64, device=device) for _ in range(3)
        )

        def ragged(arrays: Sequence[Tensor]) -> RaggedTensor:
            return RaggedTensor(arrays, device, replaceable)

        columns = zip(*(self._values(own) for own in goals), strict=True)
        self._category_of_goal, self._object_floors, self._image_spans, self._images, self._image_poses = map(
            ragged, columns
        )
        for slot, own in enumerate(goals):
            self._set_numbers(slot, own)

    @property
    def layout(self) -> tuple[int, ...]:
        """Changes whenever a tensor is reallocated."""
        return tuple(ragged.capacity for ragged in self._ragged)

    @property
    def _ragged(self) -> tuple[RaggedTensor, ...]:
        return self._category_of_goal, self._object_floors, self._image_spans, self._images, self._image_poses

    def category_of_goal(self, scene: Tensor, goal: Tensor) -> Tensor:
        """Returns the category (int64) of each `goal`, -1 for goal points."""
        return self._category_of_goal.data[self._category_of_goal.offset[scene] + goal]

    def object_floor(self, scene: Tensor, number: Tensor) -> Tensor:
        """Returns the heights `[..., 2]` (metres) of the lowest and highest view point of single objects."""
        return self._object_floors.data[self._object_floors.offset[scene] + number]

    def image_object(self, scene: Tensor, image: Tensor) -> Tensor:
        """Returns the number (int64) of the single object that each `image` shows."""
        return self._images.data[self._images.offset[scene] + image]

    def images_of(self, scene: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the first image (int64) that shows each single object `number`, and how many do."""
        span = self._image_spans.data[self._image_spans.offset[scene] + number]
        return span[..., 0], span[..., 1]

    def image_pose(self, scene: Tensor, image: Tensor) -> Tensor:
        """Returns x, y, z (metres), heading and pitch (radians), float32 `[..., 5]`, of each image's camera."""
        return self._image_poses.data[self._image_poses.offset[scene] + image]

    def grow(self, data: NavigationData) -> Iterator[int]:
        """Makes room for the objects of another scene, piece by piece, yielding the number of bytes copied."""
        for ragged, values in zip(self._ragged, self._values(_of(data)), strict=True):
            yield from ragged.grow(len(values))

    def write(self, slot: int, data: NavigationData) -> Iterator[int]:
        """Replaces the objects of `slot`, piece by piece, yielding the number of bytes copied."""
        own = _of(data)
        for ragged, values in zip(self._ragged, self._values(own), strict=True):
            yield from ragged.write(slot, values)
        self._set_numbers(slot, own)

    def _values(self, own: ObjectGoals) -> tuple[Tensor, ...]:
        """What lies in `_ragged`; a row of zeros at the end keeps lookups in scenes without objects in range."""
        numbers = torch.arange(len(own.object_categories))
        first = torch.searchsorted(own.images, numbers)
        spans = torch.stack((first, torch.searchsorted(own.images, numbers, right=True) - first), -1)
        values = self._categories_of_goals(own), torch.as_tensor(own.object_floors), spans, own.images, own.image_poses
        return tuple(torch.cat([value, value.new_zeros(1, *value.shape[1:])]) for value in values)

    def _categories_of_goals(self, own: ObjectGoals) -> Tensor:
        """int64 `[G + K + J]`."""
        names = (*own.categories, *own.object_categories)
        return torch.tensor([*[_NONE] * own.first, *(self._number.get(name, _NONE) for name in names)])

    def _set_numbers(self, slot: int, own: ObjectGoals) -> None:
        """Writes the numbers of `slot` one by one: `fill_` passes each with the kernel launch, without a copy."""
        self.category_goal[slot].fill_(_NONE)
        for k, name in enumerate(own.categories):
            if name in self._number:
                category = self._number[name]
                self.category_goal[slot, category].fill_(own.first + k)
                for end in range(2):
                    self.category_floor[slot, category, end].fill_(float(own.category_floors[k, end]))
        self.object_count[slot].fill_(len(own.object_categories))
        self.first_object[slot].fill_(own.first + len(own.categories))
        self.image_count[slot].fill_(len(own.images))


def _of(data: NavigationData) -> ObjectGoals:
    assert data.objects is not None, "prepared without objects"
    return data.objects
