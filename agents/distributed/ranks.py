"""The processes that `torchrun` starts for one training run, and the communication between them.

torchrun --nproc-per-node 8 -m batchsim.agents.train --preset pointnav-depth --out runs/NAME
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.nn.parallel import DistributedDataParallel

from batchsim.agents.errors import AgentError, require_between, require_positive
from batchsim.agents.gradients.codecs import make_codec
from batchsim.agents.gradients.communication import coded_all_reduce
from batchsim.scenes.errors import first_line

T = TypeVar("T")


@dataclass(frozen=True)
class DistributedConfig:
    """Options of training in several processes under torchrun; ignored in a single process."""

    gradient_compression: Literal["none", "fp16", "bf16", "fp6", "pruned"] = "none"
    """How gradients are exchanged between ranks: in half precision (bf16 needs GPUs), as floats of 6 bits, or
    stochastically pruned. The last two are emulated: the log says how many bytes they would take."""
    gradient_pruning: float = 0.85
    """Share of the exchanged gradients that "pruned" makes zero."""
    preemption: bool = False
    """Stop the rollout of a rank that is late, so that the others need not wait for it."""
    preemption_ranks: float = 0.6
    """Fraction of the ranks that must have finished before the others count as late."""
    preemption_steps: float = 0.25
    """Fraction of its rollout that even a late rank collects."""
    rank_timeout_minutes: float = 10.0
    """Minutes after which a rank that does not respond ends the job; must exceed the time of a periodic evaluation."""

    def check(self) -> None:
        """Raises `AgentError` if a value cannot be used."""
        for name in ("preemption_ranks", "preemption_steps"):
            require_positive(self, name, 1)
        require_positive(self, "rank_timeout_minutes", 1e6)
        require_between(self, "gradient_pruning", 0.01, 0.99)


class Ranks:
    """The `size` processes that train together; this one is number `rank`.

    In a single process `size` is 1 and nothing is communicated. All ranks must call the methods in the same order;
    properties may be read at any time.
    """

    def __init__(
        self,
        rank: int = 0,
        size: int = 1,
        store: dist.Store | None = None,
        compression: str = "none",
        pruning: float = 0.85,
    ) -> None:
        self.rank, self.size, self.store = rank, size, store
        self._compression = compression
        coded = size > 1 and compression in ("fp6", "pruned")
        self.codecs = {"exchanged_gradient_bytes": make_codec(compression, pruning)} if coded else {}
        """What changes the gradients that are exchanged, by the name of its bytes in the log."""

    @staticmethod
    def init(config: DistributedConfig) -> Ranks:
        """Joins the process group that torchrun has started, and takes the GPU of the local rank.

        Without torchrun, returns the single process.

        Raises:
            AgentError: If the other processes do not join, or if there are fewer GPUs than ranks.
        """
        if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
            return Ranks()
        timeout = timedelta(minutes=config.rank_timeout_minutes)
        backend = "gloo"
        if torch.cuda.is_available():
            _take_gpu(int(os.environ.get("LOCAL_RANK", "0")))
            backend = "cpu:gloo,cuda:nccl"
        try:
            store, rank, size = next(dist.rendezvous("env://", timeout=timeout))
            mine = dist.PrefixStore("training", store)
            dist.init_process_group(backend, store=mine, rank=rank, world_size=size, timeout=timeout)
        except (RuntimeError, ValueError) as error:
            raise AgentError(f"The ranks could not connect: {first_line(error)}") from None
        return Ranks(rank, size, store, config.gradient_compression, config.gradient_pruning)

    @property
    def is_first(self) -> bool:
        """Whether this rank writes the log and checkpoints, and evaluates."""
        return self.rank == 0

    def shard(self, items: Sequence[T]) -> Sequence[T]:
        """Returns this rank's share of `items`, or all of them if there are fewer than ranks."""
        return items[self.rank :: self.size] if len(items) >= self.size else items

    def learner(self, policy: nn.Module) -> Callable[..., tuple[Tensor, Tensor]]:
        """Returns `policy` as a callable on sequences whose gradients are averaged over the ranks."""
        if self.size == 1:
            return policy
        device = next(policy.parameters()).device
        on_gpu = device.type == "cuda"
        if self._compression == "bf16" and not on_gpu:
            raise AgentError("--gradient-compression bf16 needs GPUs and NCCL; use fp16 or none on CPUs.")
        wrapped = DistributedDataParallel(
            policy,
            device_ids=[device.index] if on_gpu else None,
            broadcast_buffers=False,
            gradient_as_bucket_view=True,
        )
        if self.codecs:
            (codec,) = self.codecs.values()
            wrapped.register_comm_hook(codec, coded_all_reduce)
        elif self._compression != "none":
            wrapped.register_comm_hook(None, getattr(default_hooks, f"{self._compression}_compress_hook"))
        return wrapped

    def standardized(self, values: Tensor) -> Tensor:
        """Returns `values` minus their mean, divided by their standard deviation, both over the values of all ranks."""
        if self.size == 1:
            return (values - values.mean()) / (values.std() + 1e-5)
        count_and_sum = torch.stack((values.new_full((), values.numel()), values.sum()))
        dist.all_reduce(count_and_sum)
        count, total = count_and_sum
        centred = values - total / count
        squares = centred.square().sum()
        dist.all_reduce(squares)
        return centred / ((squares / (count - 1)).sqrt() + 1e-5)

    def sum(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Returns the sums of the ranks' figures, which have the same names on all ranks."""
        if self.size == 1:
            return dict(figures)
        totals = torch.tensor(list(figures.values()), dtype=torch.float64)
        dist.all_reduce(totals)
        return dict(zip(figures, totals.tolist(), strict=True))

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Returns for each of `flags` whether it is set on any rank."""
        if self.size == 1:
            return flags
        raised = torch.tensor(flags, dtype=torch.int64)
        dist.all_reduce(raised, dist.ReduceOp.MAX)
        return tuple(bool(flag) for flag in raised)

    def gather(self, value: T) -> list[T] | None:
        """Returns the values of all ranks in their order, on the first rank; None on the others."""
        if self.size == 1:
            return [value]
        values: list[Any] | None = [None] * self.size if self.is_first else None
        dist.gather_object(value, values)
        return values

    def is_loss_of_a_rank(self, error: Exception) -> bool:
        """Returns whether `error` is what torch raises when another rank is gone or does not respond."""
        # Gloo's errors are plain RuntimeErrors, recognised by the source path at their start.
        return self.size > 1 and (isinstance(error, dist.DistError) or "gloo" in str(error))

    def shutdown(self) -> None:
        """Leaves the process group."""
        if self.size > 1:
            dist.destroy_process_group()


SINGLE_PROCESS = Ranks()


def _take_gpu(local_rank: int) -> None:
    if local_rank >= torch.cuda.device_count():
        raise AgentError(
            f"Local rank {local_rank} has no GPU: torch sees {torch.cuda.device_count()}. Start at most that many "
            "ranks on this machine: torchrun --nproc-per-node."
        )
    torch.cuda.set_device(local_rank)
