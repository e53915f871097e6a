"""Noise of real robots: of motion, of colour images and of depth images. Nothing is computed where it is off."""

from batchsim.noise.actuation import ActuationNoise
from batchsim.noise.depth import RedwoodDepth
from batchsim.noise.noise import Noise, read_noise
from batchsim.noise.rgb import GaussianRgb, PoissonRgb, SaltAndPepperRgb, SpeckleRgb

__all__ = [
    "ActuationNoise",
    "GaussianRgb",
    "Noise",
    "PoissonRgb",
    "RedwoodDepth",
    "SaltAndPepperRgb",
    "SpeckleRgb",
    "read_noise",
]
