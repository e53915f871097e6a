"""A training run that takes seconds: one empty room, images of 16 x 16 pixels, short episodes."""

SMALL = {
    "scenes": "one-room",
    "num_envs": 6,
    "rollout_steps": 7,
    "width": 16,
    "height": 16,
    "renderer": "raycast",
    "hidden_size": 16,
    "visual_channels": (4,),
    "max_episode_steps": 9,
    "eval_scenes": "",
    "device": "cpu",
    "log_every": 1,
}
FRAMES = 6 * 7
"""Of one update."""
