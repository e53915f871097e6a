"""Default values of the options that several classes share; Habitat's PointNav values."""

from __future__ import annotations

HFOV = 90.0
"""Horizontal field of view of a pinhole camera, degrees."""
CAMERA_HEIGHT = 1.25
"""Height of the camera above the floor, metres."""
MAX_DEPTH = 10.0
"""Depth that observations are clipped to and divided by, metres."""
FORWARD_STEP = 0.25
"""Length of a step forward, metres."""
TURN_ANGLE = 10.0
"""Angle of a turn, degrees."""
TILT_ANGLE = 15.0
"""Angle by which looking up or down tilts the camera, degrees."""
SUCCESS_DISTANCE = 0.2
"""Walking distance from the goal within which a stop succeeds, metres."""
MAX_EPISODE_STEPS = 500
"""Steps after which an episode is truncated."""
