"""All steps of a gated recurrent unit as one operation, with a backward pass written by hand.

Autograd would record some fifteen operations a step, and add up the weights' gradients step by step. Here a step takes
six operations forward and eight backward, and the weights' gradient is one matrix product over all steps. Measured in
bfloat16 on one core, 32 steps of 128 units, forward and backward: 10 and now 6 us a frame with 32 environments, 7 and
now 5 with 64.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class GRUSequence(torch.autograd.Function):
    """Applies `GRU`'s cell T times.

    Inputs: `gates` `[T, N, 3 H]`, the inputs' part of the gates, whose dtype is that of the matrix products; `weight`
    `[3 H, H]` and `bias` `[3 H]` of the state's part; `keep` `[T, N, 1]`, 0 where an episode starts, else 1; `state`
    `[N, H]`, which stays in its own dtype. Output: the states after each step, `[T, N, H]`.
    """

    @staticmethod
    def forward(ctx: Any, gates: Tensor, weight: Tensor, bias: Tensor, keep: Tensor, state: Tensor) -> Tensor:
        """See the class."""
        steps, num_envs, size = gates.shape
        units = size // 3
        weight, bias = weight.to(gates.dtype), bias.to(gates.dtype)
        held = state.new_empty(steps, num_envs, units)
        rounded = held if held.dtype == gates.dtype else held.to(gates.dtype)  # operands of matrix products
        recurrent = state.new_empty(steps, num_envs, 3 * units)
        reset_update = state.new_empty(steps, num_envs, 2 * units)
        candidate, states = torch.empty_like(held), torch.empty_like(held)
        for t in range(steps):
            torch.mul(state, keep[t], out=held[t])
            if rounded is not held:
                rounded[t].copy_(held[t])
            recurrent[t].copy_(torch.addmm(bias, rounded[t], weight.t()))
            both = torch.add(gates[t, :, : 2 * units], recurrent[t, :, : 2 * units], out=reset_update[t]).sigmoid_()
            own = gates[t, :, 2 * units :].to(state.dtype)
            own = torch.addcmul(own, both[:, :units], recurrent[t, :, 2 * units :], out=candidate[t])
            state = torch.lerp(own.tanh_(), held[t], both[:, units:], out=states[t])
        ctx.save_for_backward(weight, keep, held, rounded, reset_update, recurrent[..., 2 * units :], candidate)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, Tensor]:
        """Returns the gradients of the inputs, given that of the output."""
        weight, keep, held, rounded, reset_update, recurrent, candidate = ctx.saved_tensors
        steps, num_envs, units = held.shape
        reset, update = reset_update[..., :units], reset_update[..., units:]
        # The slopes of the three nonlinearities, for all steps at once.
        by_update = (held - candidate) * (update * (1 - update))
        by_candidate = (1 - update) * (1 - candidate.square())
        by_reset = recurrent * (reset * (1 - reset))
        to_recurrent = torch.empty(steps, num_envs, 3 * units, dtype=weight.dtype, device=weight.device)
        to_candidate = torch.empty_like(candidate)
        to_state = torch.zeros_like(held[0])
        for t in reversed(range(steps)):
            to_state = to_state + gradient[t]
            row, own = to_recurrent[t], torch.mul(to_state, by_candidate[t], out=to_candidate[t])
            torch.mul(own, by_reset[t], out=row[:, :units])
            torch.mul(to_state, by_update[t], out=row[:, units : 2 * units])
            torch.mul(own, reset[t], out=row[:, 2 * units :])
            to_state = torch.addcmul((row @ weight).to(held.dtype), to_state, update[t]).mul_(keep[t])
        to_gates = torch.cat((to_recurrent[..., : 2 * units], to_candidate.to(weight.dtype)), -1)
        flat = to_recurrent.flatten(0, 1)
        to_weight = (flat.t() @ rounded.flatten(0, 1)).to(held.dtype)
        return to_gates, to_weight, flat.sum(0, dtype=held.dtype), None, to_state
