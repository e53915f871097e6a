"""Grows a policy: a wider encoder and core, or a deeper encoder, with the same outputs as before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import torch
from torch import Tensor, nn

from batchsim.agents.errors import AgentError
from batchsim.agents.networks.encoders.patch_encoder import PatchEncoder
from batchsim.agents.networks.growing.copies import Copies
from batchsim.agents.networks.policy import Policy, PolicyConfig
from batchsim.agents.networks.recurrent.gru import GRU
from batchsim.agents.networks.recurrent.lstm import LSTM

_MAY_GROW = ("visual_channels", "hidden_size")
_FIRST_PATCH, _PATCH = 4, 2  # sides of the patches of the first and of the other layers of the patch encoder


def grow(source: Policy, target: PolicyConfig, seed: int = 0) -> Policy:
    """Returns a policy of the shape `target` that computes what `source` does, up to rounding.

    `hidden_size` and each of `visual_channels` may be larger. `visual_channels` may also have more layers: each new one
    has 4 times as many channels as the one before, and passes on what it gets. Recurrent cores cannot become deeper,
    because a layer of gates is never the identity.

    Args:
        source: The policy to grow.
        target: The shape to grow to.
        seed: Seed of the shares of copied units.

    Raises:
        AgentError: If anything else differs, or something would shrink.
    """
    _check(source.config, target)
    generator = torch.Generator().manual_seed(seed)
    hidden = Copies.make(source.config.hidden_size, target.hidden_size, generator)
    weights = {name: value.detach().cpu() for name, value in source.state_dict().items()}
    for prefix, encoder in _encoders(source).items():
        own = _take(weights, prefix)
        if isinstance(encoder, PatchEncoder):
            own = _wider_patches(own, source.config.visual_channels, target.visual_channels, generator)
            size = source.config.image_size if prefix == "visual." else source.config.goal_image_size
            own = _deeper_patches(own, len(source.config.visual_channels), target.visual_channels, size)
        weights |= _put(prefix, _wider_output(own, hidden))
    weights |= _wider_core(source, weights, hidden)
    for head in ("actor", "critic"):
        weights[f"{head}.weight"] = hidden.columns(weights[f"{head}.weight"])
    with torch.random.fork_rng(devices=[]):
        grown = Policy(target)
    grown.load_state_dict(weights)
    return grown.to(source.critic.weight.device).train(source.training)


def _check(source: PolicyConfig, target: PolicyConfig) -> None:
    before, after = asdict(source), asdict(target)
    if differing := [name for name in before if name not in _MAY_GROW and before[name] != after[name]]:
        what = ", ".join(f"{name} is {before[name]}, not {after[name]}" for name in differing)
        raise AgentError(
            f"A network cannot grow to that shape: {what}. Only {' and '.join(_MAY_GROW)} can become larger."
        )
    if target.hidden_size < source.hidden_size:
        raise AgentError(f"hidden_size is {target.hidden_size}; the network to grow has {source.hidden_size} already.")
    if source.visual == "se_resnet9" and source.images and target.hidden_size % source.hidden_size:
        raise AgentError(
            f"hidden_size is {target.hidden_size}; with se_resnet9, whose output is normalised, expected a multiple of "
            f"{source.hidden_size}."
        )
    if source.visual != "patches" or not (source.images or source.goal_image):
        return
    old, new = source.visual_channels, target.visual_channels
    if len(new) < len(old) or any(a > b for a, b in zip(old, new, strict=False)):
        raise AgentError(f"visual_channels is {new}; expected at least the {old} of the network to grow.")
    for k in range(len(old), len(new)):
        if new[k] != _PATCH**2 * new[k - 1]:
            raise AgentError(
                f"visual_channels is {new}; expected {_PATCH**2 * new[k - 1]} channels in the new layer {k + 1}, four "
                "times those before it, so that it can pass on all it gets."
            )
    with torch.device("meta"):
        Policy(target)  # raises if the images are too small for so many layers


def _encoders(policy: Policy) -> dict[str, nn.Module]:
    found = {"visual.": policy.visual, "goal_visual.": policy.goal_visual}
    return {prefix: encoder for prefix, encoder in found.items() if encoder is not None}


def _take(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Removes the weights whose names start with `prefix`, and returns them without it."""
    names = [name for name in weights if name.startswith(prefix)]
    return {name.removeprefix(prefix): weights.pop(name) for name in names}


def _put(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in weights.items()}


def _wider_patches(
    weights: dict[str, Tensor], old: tuple[int, ...], new: tuple[int, ...], generator: torch.Generator
) -> dict[str, Tensor]:
    """Widens the layers of a patch encoder but its output."""
    for k in range(len(old)):
        copies = Copies.make(old[k], new[k], generator)
        for part in ("weight", "bias"):
            weights[f"patches.{k}.{part}"] = copies.rows(weights[f"patches.{k}.{part}"])
        following = f"patches.{k + 1}.weight" if k + 1 < len(old) else "out.weight"
        blocks = weights[following].shape[1] // old[k]
        weights[following] = copies.columns(weights[following], blocks)
    return weights


def _deeper_patches(
    weights: dict[str, Tensor], layers: int, new: tuple[int, ...], size: tuple[int, int]
) -> dict[str, Tensor]:
    """Adds layers that are the identity: what they get is not negative, so that their ReLU changes nothing."""
    shrink = _FIRST_PATCH * _PATCH ** (layers - 1)
    rows, columns = size[0] // shrink, size[1] // shrink
    for k in range(layers, len(new)):
        weights[f"patches.{k}.weight"], weights[f"patches.{k}.bias"] = torch.eye(new[k]), torch.zeros(new[k])
        # Pixels of a patch that were places are channels now.
        out = weights["out.weight"]
        rows, columns = rows // _PATCH, columns // _PATCH
        places = out.view(len(out), rows, _PATCH, columns, _PATCH, new[k - 1])
        weights["out.weight"] = places.permute(0, 1, 3, 2, 4, 5).reshape(len(out), -1)
    return weights


def _wider_output(weights: dict[str, Tensor], hidden: Copies) -> dict[str, Tensor]:
    """Widens the last layer of an encoder, and the normalisation after it."""
    last = "out.1" if "out.1.weight" in weights else "out"
    for name in (f"{last}.weight", f"{last}.bias", "norm.weight", "norm.bias"):
        if name in weights:
            weights[name] = hidden.rows(weights[name])
    return weights


def _wider_core(source: Policy, weights: dict[str, Tensor], hidden: Copies) -> dict[str, Tensor]:
    """Returns the weights of the core, with wider inputs from encoders."""
    old = source.config.hidden_size
    images = (source.visual is not None) + bool(source.config.goal_image)

    def first_input(weight: Tensor) -> Tensor:
        plain = weight.shape[1] - images * old
        seen = weight[:, plain:]
        return torch.cat((weight[:, :plain], hidden.columns(seen, images) if images else seen), 1)

    if isinstance(source.core, GRU):
        return _wider_cell(weights, "core.", 3, first_input, hidden)
    assert isinstance(source.core, LSTM)
    found: dict[str, Tensor] = {}
    for k in range(len(source.core.layers)):
        found |= _wider_cell(weights, f"core.layers.{k}.", 4, hidden.columns if k else first_input, hidden)
    return found


def _wider_cell(
    weights: dict[str, Tensor],
    prefix: str,
    gates: int,
    widen_input: Callable[[Tensor], Tensor],
    hidden: Copies,
) -> dict[str, Tensor]:
    """Widens a layer with `gates` gates: a copy of a unit has its gates and its state."""
    own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    own["from_input.weight"] = widen_input(own["from_input.weight"])
    own["from_state.weight"] = hidden.columns(own["from_state.weight"])
    blocks = {"bias": 2, "fixed_bias": 2}  # of the multi-timescale LSTM: two of the four gates each
    return _put(prefix, {name: hidden.rows(value, blocks.get(name, gates)) for name, value in own.items()})
