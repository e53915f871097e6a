"""The policy's step as one CUDA graph: its kernels are too short for the host to ask for them one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Step = Callable[[Mapping[str, Tensor], Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]

_WARM_UPS = 3  # calls before capture, in which libraries choose their kernels and take their memory


class GraphedStep:
    """`Policy.step`, captured at its first call and replayed for inputs of the same shapes; others go to `step`.

    Weights must stay where they are: optimisers and `load_state_dict` write them in place. Must be called without
    gradients.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[Tensor] = []
        self._outputs: tuple[Tensor, ...] = ()

    def __call__(
        self, observation: Mapping[str, Tensor], previous_action: Tensor, begun: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What `Policy.step` gives, in tensors that later calls leave alone."""
        inputs = [*observation.values(), previous_action, begun, state]
        if self._graph is None:
            self._capture(tuple(observation), inputs)
        if [x.shape for x in inputs] != [x.shape for x in self._inputs]:
            return self._step(observation, previous_action, begun, state)
        torch._foreach_copy_(self._inputs, inputs)
        self._graph.replay()
        logits, value, state = (output.clone() for output in self._outputs)
        return logits, value, state

    def _capture(self, names: tuple[str, ...], inputs: list[Tensor]) -> None:
        self._inputs = [x.clone() for x in inputs]
        *pictures, previous_action, begun, state = self._inputs
        observation = dict(zip(names, pictures, strict=True))
        # Off the default stream, as capture asks for.
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                self._step(observation, previous_action, begun, state)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # Other threads, which load scenes or watch NCCL, may use the device meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._outputs = self._step(observation, previous_action, begun, state)
        self._graph = graph
