"""What actions mean: from numbers or velocities to how far agents walk, turn and tilt their cameras."""

from batchsim.control.command import Command
from batchsim.control.control import Control
from batchsim.control.discrete import DiscreteControl
from batchsim.control.velocity import VelocityControl, VelocityOptions, read_velocity_options

__all__ = ["Command", "Control", "DiscreteControl", "VelocityControl", "VelocityOptions", "read_velocity_options"]
