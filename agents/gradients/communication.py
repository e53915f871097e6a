"""A communication hook of `DistributedDataParallel` that sends changed gradients to the other ranks."""

# Without `from __future__ import annotations`: torch compares the annotations of hooks with its classes.

import torch
import torch.distributed as dist
from torch import Tensor

from batchsim.agents.gradients.codecs import Codec


def coded_all_reduce(codec: Codec, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
    """Averages over the ranks what `codec` leaves of each parameter's gradient.

    The change is emulated: float32 numbers travel. `codec` counts the bytes that would.
    """
    for gradient in bucket.gradients():
        gradient.copy_(codec(gradient))
    total = bucket.buffer().div_(dist.get_world_size())
    work = dist.all_reduce(total, async_op=True)
    assert work is not None
    return work.get_future().then(lambda done: done.value()[0])
