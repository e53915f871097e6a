"""Samples actions from a policy's logits, on their device."""

from __future__ import annotations

import torch
from torch import Tensor

from batchsim.agents.ppo.action_distribution import gaussian_log_prob
from batchsim.random_streams import mix, uniform

_ACTIONS = 0x5AC7  # separates the stream of actions from the stream of episodes with the same seed
_BLOCK = 32  # steps whose noise is generated together, because one at a time it takes most of the time of a draw


class ActionSampler:
    """Samples actions for N environments, each from its own random stream, seeded with int64 `[N]`.

    An environment's draws depend only on its seed and on the number of draws before: not on the other environments, and
    not on the device.
    """

    def __init__(self, seeds: Tensor, continuous: bool = False) -> None:
        self._continuous = continuous
        self._streams = mix(seeds + _ACTIONS)
        self._count = 0
        self._noise: Tensor | None = None

    def draw(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Returns actions sampled from `logits` `[N, A]`, and their log probabilities, float32 `[N]`.

        Actions are int64 `[N]`, or, of a continuous sampler, float32 `[N, A / 2]`.
        """
        place = self._count % _BLOCK
        if self._noise is None or place == 0:
            self._noise = self._block(self._count - place, logits.shape[-1])
        self._count += 1
        if self._continuous:
            mean, log_std = logits.chunk(2, -1)
            action = mean + log_std.exp() * self._noise[place, :, : mean.shape[-1]]
            return action, gaussian_log_prob(mean, log_std, action)
        log_probs = torch.log_softmax(logits, -1)
        # The Gumbel-max trick samples without leaving the device.
        action = (log_probs + self._noise[place]).argmax(-1)
        return action, log_probs.gather(-1, action.unsqueeze(-1)).squeeze(-1)

    @property
    def place(self) -> tuple[Tensor, int]:
        """The random streams int64 `[N]`, and the number of draws so far."""
        return self._streams, self._count

    def _block(self, first: int, actions: int) -> Tensor:
        """Returns Gumbel or normal noise `[_BLOCK, N, A]` for the draws starting with number `first`."""
        counts = torch.arange(first, first + _BLOCK, device=self._streams.device)
        counts = counts.unsqueeze(1).expand(-1, len(self._streams)).reshape(-1)
        chances = uniform(self._streams.repeat(_BLOCK), counts, actions)
        if self._continuous:
            return torch.special.ndtri(chances + 2.0**-25).view(_BLOCK, -1, actions)
        chances = chances.clamp(1e-20)
        return -(-chances.log()).log().view(_BLOCK, -1, actions)

    def state_dict(self) -> dict[str, Tensor]:
        """Returns copies of the streams and of the position in them."""
        return {"streams": self._streams.clone(), "count": torch.tensor(self._count)}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Continues from another sampler's `state_dict`."""
        streams = tensors["streams"]
        if streams.dtype != self._streams.dtype or streams.shape != self._streams.shape:
            raise ValueError(f"streams is {streams.dtype} of the shape {tuple(streams.shape)}")
        self._streams = streams.to(self._streams.device)
        self._count = int(tensors["count"])
        self._noise = None
