"""`Noise`: which noise an environment has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from batchsim.errors import OptionError
from batchsim.noise.actuation import ActuationNoise
from batchsim.noise.depth import RedwoodDepth
from batchsim.noise.rgb import GaussianRgb, PoissonRgb, RgbNoise, SaltAndPepperRgb, SpeckleRgb

RGB_MODELS: dict[str, type] = {
    "gaussian": GaussianRgb,
    "poisson": PoissonRgb,
    "salt_and_pepper": SaltAndPepperRgb,
    "speckle": SpeckleRgb,
}
DEPTH_MODELS: dict[str, type] = {"redwood": RedwoodDepth}
ACTUATION_MODELS: dict[str, type] = {"pyrobot": ActuationNoise}


@dataclass(frozen=True)
class Noise:
    """Noise of motion and images; None: none.

    Every environment has its own stream, so that its noise depends on its seed, episode and step alone.

    Args:
        actuation: Noise of motion.
        rgb: Noise of colour images.
        depth: Noise of depth images.
    """

    actuation: ActuationNoise | None = None
    rgb: RgbNoise | None = None
    depth: RedwoodDepth | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns what `read_noise` takes: names and numbers."""
        models: dict[str, dict[str, type]] = {"actuation": ACTUATION_MODELS, "rgb": RGB_MODELS, "depth": DEPTH_MODELS}
        said = {}
        for name, known in models.items():
            model = getattr(self, name)
            if model is not None:
                kind = next(kind for kind, made in known.items() if isinstance(model, made))
                said[name] = {"model": kind} | {k: v for k, v in asdict(model).items() if not k.startswith("_")}
        return said


def read_noise(given: Noise | Mapping[str, Any] | None) -> Noise:
    """Returns the noise that a user asks for.

    Args:
        given: A `Noise`; None for none; or a mapping with some of "actuation", "rgb" and "depth", each the name of a
            model or a mapping with "model" and its options:
            `{"rgb": {"model": "gaussian", "intensity": 0.1}, "depth": "redwood"}`.

    Raises:
        OptionError: If a name or an option is unknown.
    """
    if isinstance(given, Noise):
        return given
    if given is None:
        return Noise()
    known: dict[str, dict[str, type]] = {"actuation": ACTUATION_MODELS, "rgb": RGB_MODELS, "depth": DEPTH_MODELS}
    if not isinstance(given, Mapping) or set(given) - set(known):
        raise OptionError(f"noise={given!r}: expected a batchsim.Noise or a mapping of some of {', '.join(known)}.")
    return Noise(**{name: _made(name, value, known[name]) for name, value in given.items() if value is not None})


def _made(name: str, given: Any, models: dict[str, type]) -> Any:
    if isinstance(given, tuple(models.values())):
        return given
    said = {"model": given} if isinstance(given, str) else given
    kind = said.get("model", next(iter(models))) if isinstance(said, Mapping) else None
    if kind not in models:
        raise OptionError(f"noise: {name}={given!r}: expected one of {', '.join(map(repr, models))}.")
    options = {key: value for key, value in said.items() if key != "model"}
    names = [item.name for item in fields(models[kind]) if item.init]
    if unknown := sorted(set(options) - set(names)):
        raise OptionError(f"noise: {name}: {', '.join(unknown)}: expected some of {', '.join(names) or 'none'}.")
    return models[kind](**options)
