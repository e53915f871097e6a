"""Visual encoders by name."""

from __future__ import annotations

from torch import nn

from batchsim.agents.errors import AgentError
from batchsim.agents.networks.encoders.images import PIXELS
from batchsim.agents.networks.encoders.patch_encoder import PatchEncoder
from batchsim.agents.networks.encoders.resnet18 import ResNet18
from batchsim.agents.networks.encoders.se_resnet import SEResNet9

ENCODERS = ("patches", "se_resnet9", "resnet18")


def make_encoder(
    name: str, images: tuple[str, ...], image_size: tuple[int, int], channels: tuple[int, ...], outputs: int
) -> nn.Module:
    """The encoder called `name` for the images `images`, of `image_size` (height, width): to `[B, outputs]`.

    `channels` are those of "patches". Raises `AgentError` for a name, image or size that there is no encoder for.
    """
    if unknown := sorted(set(images) - PIXELS.keys()):
        raise AgentError(f"A policy reads the images {' and '.join(PIXELS)}, not {', '.join(unknown)}.")
    if name == "patches":
        return PatchEncoder(image_size, channels, outputs, images)
    encoders = {"se_resnet9": SEResNet9, "resnet18": ResNet18}
    if name not in encoders:
        raise AgentError(f"There is no visual encoder {name!r}; there are: {', '.join(ENCODERS)}.")
    return encoders[name](image_size, images, outputs)
