"""Stable-Baselines3's PPO in Miniworld's four rooms.

miniworld_train.py NETWORK NUM_ENVS {dummy,subproc} ROLLOUT_FRAMES EPOCHS MINIBATCHES
"""

from __future__ import annotations

import sys

import protocol
import pyglet

pyglet.options["headless"] = True  # renders through EGL, without a display

import gymnasium as gym
import miniworld  # noqa: F401  (registers the environments)
import networks
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv


class Features(BaseFeaturesExtractor):
    """Wraps `networks.make_features` for Stable-Baselines3."""

    def __init__(self, space: gym.Space, network: str) -> None:
        super().__init__(space, networks.FEATURES[network])
        self.layers = networks.make_features(network)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Map images `[B, 3, H, W]` in [0, 1] to features."""
        return self.layers(observations)


def make_env() -> gym.Env:
    """Make one environment."""
    return gym.make("MiniWorld-FourRooms-v0", obs_width=networks.SIZE, obs_height=networks.SIZE)


def main() -> None:
    """Run the worker."""
    network, num_envs, kind, rollout, epochs, minibatches = (
        sys.argv[1],
        int(sys.argv[2]),
        sys.argv[3],
        *map(int, sys.argv[4:7]),
    )
    make = [make_env] * num_envs
    envs = DummyVecEnv(make) if kind == "dummy" else SubprocVecEnv(make, start_method="spawn")
    model = PPO(
        "CnnPolicy",
        envs,
        n_steps=rollout // num_envs,
        batch_size=rollout // minibatches,
        n_epochs=epochs,
        policy_kwargs={
            "features_extractor_class": Features,
            "features_extractor_kwargs": {"network": network},
            "net_arch": [],  # actor and critic directly on the features, as in batchsim_train.py
        },
        device="cpu",
        seed=0,
    )

    def work() -> int:
        model.learn(rollout, reset_num_timesteps=False)  # one rollout and what is learned from it
        return rollout

    facts = {"environments": num_envs, "vec_env": kind, "threads": torch.get_num_threads()}
    protocol.serve(work, facts | networks.sizes(model.policy.features_extractor.layers, model.policy))


if __name__ == "__main__":
    main()
