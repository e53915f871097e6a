"""Presets: training configurations by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.imitation.schedule import ImitationConfig
from batchsim.agents.ppo.ppo import PPOConfig

# As in Large Batch Simulation (Shacklett et al., ICLR 2021), on one GPU.
_LARGE_BATCH = TrainConfig(
    scenes="homes:train?detail=medium",
    num_envs=1024,
    total_frames=250_000_000,
    max_minutes=25.0,
    turn_angle=10.0,
    max_episode_steps=500,
    visual="se_resnet9",
    fine_goal=False,
    action_embedding_size=32,
    core="lstm",
    core_layers=2,
    hidden_size=512,
    lr_decay="cosine",
    lr_warmup=0.01,
    final_lr_fraction=0.0,
    scale_learning_rate=True,
    precision="auto",
    channels_last=True,
    eval_scenes="homes:val?detail=medium",
    ppo=PPOConfig(epochs=1, minibatches=2, learning_rate=5e-4, optimizer="lamb", normalize_advantage=False),
)

# Without a goal sensor, policies settle on walking straight into walls unless the entropy bonus is larger.
_GOALLESS = PPOConfig(entropy_coefficient=0.02)

# One pass in minibatches of 512 frames takes as many steps of the optimiser as two passes in minibatches of 1,024, in
# half the time. The budget is in frames, so that slower machines take longer rather than learn less.
_QUICKSTART = TrainConfig(
    total_frames=3_600_000,
    max_minutes=60.0,
    ppo=PPOConfig(epochs=1, minibatches=8, entropy_coefficient=0.005),
    imitation=ImitationConfig(imitation=True, imitation_weight=0.2),
)

# With a reward of 2.5, policies that learn to approach goals stop no more: they rarely know when they have arrived, and
# walking on gains more than a stop that may fail. With 10, they learn where stops succeed.
_WORTH_STOPPING = "success_reward=10&slack_reward=-0.01"
_15_MINUTES: dict[str, Any] = {"total_frames": 1_500_000, "max_minutes": 15.0}

PRESETS: dict[str, TrainConfig] = {
    "quickstart": _QUICKSTART,
    "flee": TrainConfig(task="flee", ppo=_GOALLESS),
    "explore": TrainConfig(task="explore", ppo=_GOALLESS),
    "objectnav-cpu": TrainConfig(task=f"objectnav_level?{_WORTH_STOPPING}", sensors=("depth", "rgb"), **_15_MINUTES),
    "imagenav-cpu": TrainConfig(
        task=f"imagenav?success_distance=1&{_WORTH_STOPPING}", sensors=("rgb",), goal_fusion="product", **_15_MINUTES
    ),
    "objectnav": replace(_LARGE_BATCH, task="objectnav", sensors=("depth", "rgb"), turn_angle=30.0, tilt_angle=30.0),
    "imagenav": replace(_LARGE_BATCH, task="imagenav", sensors=("rgb",), turn_angle=30.0, max_episode_steps=1000),
    "pointnav-depth": _LARGE_BATCH,
    "pointnav-rgb": replace(_LARGE_BATCH, sensors=("rgb",)),
}


def preset(name: str) -> TrainConfig:
    """Returns the preset called `name`; raises `AgentError` if there is none."""
    if name not in PRESETS:
        raise AgentError(f"There is no preset {name!r}; choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]
