"""`GoalImages`: goal images, drawn once when an episode starts and kept until it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.render.camera import AnyCamera, Camera
from batchsim.tasks import Task
from batchsim.world.state import replaced_rows

if TYPE_CHECKING:
    from batchsim.simulation.transition import EnvIndex

_NAME = "goal_image"


class GoalImages:
    """The goal image that shows each environment its goal.

    Args:
        task: A task with a `goal_image`.
        cameras: The cameras of an agent; if the task has no camera for goals, there must be one.
        num_envs: N.
        device: Where to store the images.

    Attributes:
        camera: The camera that takes the images.

    Raises:
        OptionError: If it is not clear which camera takes the images.
    """

    def __init__(
        self,
        task: Task,
        cameras: tuple[AnyCamera, ...],
        num_envs: int,
        device: torch.device,
    ) -> None:
        self._name = task.goal_image
        self.camera = task.goal_camera or self._only_camera(cameras)
        shape = num_envs, self.camera.height, self.camera.width, 3
        self._images = torch.zeros(shape, dtype=torch.uint8, device=device)
        self._last: Tensor | None = None

    def _only_camera(self, cameras: tuple[AnyCamera, ...]) -> Camera:
        if len(cameras) == 1 and not cameras[0].name and isinstance(cameras[0], Camera):
            return cameras[0]
        raise OptionError(
            f"cameras: {self._name} is seen through the agent's one camera; give width, height and hfov, or one camera "
            "without a name."
        )

    @property
    def observation(self) -> dict[str, Tensor]:
        """The current images, uint8 `[N, H, W, 3]`."""
        return {self._name: self._images}

    def update(self, drawn: Tensor | None, started: EnvIndex | None, mask: Tensor) -> dict[str, Tensor]:
        """Stores the images of episodes that start.

        Args:
            drawn: The goal images of `started`.
            started: Environments whose goals were rendered; None: none.
            mask: bool `[N]`, the environments that start an episode.

        Returns:
            The images of the episodes before, `[N, H, W, 3]`; other rows are meaningless.
        """
        if started is None or drawn is None:
            return self.observation
        if isinstance(started, slice):
            last = self._images
            self._images = torch.where(mask.view(-1, 1, 1, 1), drawn, last)
            return {self._name: last}
        if self._last is None:
            self._last = torch.zeros_like(self._images)
        self._last.index_copy_(0, started, self._images[started])
        self._images.index_copy_(0, started, drawn)
        return {self._name: self._last}

    def fork(self, source: Tensor, target: Tensor) -> None:
        """Copies the images of the environments `source` to `target`, int64 `[M]` both."""
        self._images = self._images.index_copy(0, target, self._images[source])

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        """Returns copies of the images of the environments `index`, int64 `[M]`."""
        return {_NAME: self._images[index]}

    def put_rows(self, tensors: Mapping[str, Tensor], index: Tensor) -> None:
        """Replaces the images of the environments `index` by the result of `rows`."""
        self._images = replaced_rows(_NAME, self._images, tensors, index)

    def state_dict(self) -> dict[str, Tensor]:
        """Returns a copy of the images."""
        return {_NAME: self._images.clone()}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Takes the result of `state_dict` out of `tensors`.

        Raises:
            OptionError: If it is missing or of another shape.
        """
        saved = tensors.pop(_NAME, None)
        if saved is None or saved.shape != self._images.shape:
            found = "none" if saved is None else f"of shape {tuple(saved.shape)}"
            raise OptionError(f"Saved goal images: {found}; expected shape {tuple(self._images.shape)}.")
        self._images = saved.to(self._images.device, copy=True)
