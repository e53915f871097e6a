"""Visual encoders by name."""

from __future__ import annotations

from torch import nn

from batchsim.agents.errors import AgentError
from batchsim.agents.networks.encoders.images import PIXELS, kind_of_image
from batchsim.agents.networks.encoders.patch_encoder import PatchEncoder
from batchsim.agents.networks.encoders.resnet18 import ResNet18
from batchsim.agents.networks.encoders.se_resnet import SEResNet9

ENCODERS = ("patches", "se_resnet9", "resnet18")


def make_encoder(
    name: str, images: tuple[str, ...], image_size: tuple[int, int], channels: tuple[int, ...], outputs: int
) -> nn.Module:
    """Returns a new visual encoder.

    Args:
        name: One of `ENCODERS`.
        images: The images that it reads, of `PIXELS` or of goals, stacked along their channels.
        image_size: Height and width, pixels.
        channels: Channels of the layers of "patches"; other encoders have fixed ones.
        outputs: The number of features.

    Raises:
        AgentError: If the name or an image is unknown, or the size does not suit the encoder.
    """
    if unknown := sorted({*map(kind_of_image, images)} - PIXELS.keys()):
        raise AgentError(f"A policy reads the images {' and '.join(PIXELS)}, not {', '.join(unknown)}.")
    if name == "patches":
        return PatchEncoder(image_size, channels, outputs, images)
    encoders = {"se_resnet9": SEResNet9, "resnet18": ResNet18}
    if name not in encoders:
        raise AgentError(f"There is no visual encoder {name!r}; there are: {', '.join(ENCODERS)}.")
    return encoders[name](image_size, images, outputs)
