"""batchsim's trainer in four rooms, with the network that Stable-Baselines3 trains on the other side.

batchsim_train.py NETWORK {float32,bfloat16} NUM_ENVS ROLLOUT_FRAMES EPOCHS MINIBATCHES [OPTION=VALUE ...]
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping

# Imported before torch, which `networks` imports: see batchsim.cpu_threads.
from batchsim.agents.networks.policy import PolicyConfig
from batchsim.agents.ppo.ppo import PPOConfig
from batchsim.agents.ppo.trainer import Trainer
from batchsim import NavVectorEnv
from batchsim.tasks.pointnav import STOP

import networks  # isort: skip
import protocol  # isort: skip
import torch  # isort: skip
from torch import Tensor, nn  # isort: skip

_NEVER = -1e9  # added to the logit of "stop": Miniworld has no action that ends an episode


class ImagePolicy(nn.Module):
    """Maps a colour image to features, logits and a value; without memory, goal or previous action."""

    def __init__(self, network: str, num_actions: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.config = PolicyConfig(num_actions=num_actions)
        self.features = networks.make_features(network)
        self.actor = nn.Linear(networks.FEATURES[network], num_actions)
        self.critic = nn.Linear(networks.FEATURES[network], 1)
        self.register_buffer("allowed", torch.zeros(num_actions).index_fill_(0, torch.tensor(STOP), _NEVER))

    def initial_state(self, num_envs: int) -> Tensor:
        """Return the recurrent state that the trainer expects; unused."""
        return torch.zeros(num_envs, 1)

    def blank_action(self, *shape: int) -> Tensor:
        """Return the action before an episode's first step; unused."""
        return torch.zeros(*shape, dtype=torch.int64)

    def prepare(self, observation: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the observation as it is stored: unchanged."""
        return dict(observation)

    def step(
        self, observation: Mapping[str, Tensor], previous_action: Tensor, episode_start: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits `[N, A]`, values `[N]`, and the unchanged state."""
        return *self._heads(observation["rgb"]), state

    def forward(
        self, observations: Mapping[str, Tensor], previous_actions: Tensor, episode_start: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return logits `[T, N, A]` and values `[T, N]`."""
        logits, values = self._heads(observations["rgb"].flatten(0, 1))
        return logits.unflatten(0, episode_start.shape), values.unflatten(0, episode_start.shape)

    def _heads(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32, cache_enabled=False):
            features = self.features(rgb.permute(0, 3, 1, 2).float() / 255).float()
        return self.actor(features) + self.allowed, self.critic(features).squeeze(-1)


def main() -> None:
    """Run the worker."""
    network, precision = sys.argv[1:3]
    num_envs, rollout, epochs, minibatches = map(int, sys.argv[3:7])
    options = {name: ast.literal_eval(value) for name, value in (word.split("=") for word in sys.argv[7:])}
    torch.manual_seed(0)
    size = {"width": networks.SIZE, "height": networks.SIZE}
    env = NavVectorEnv(num_envs, "four-rooms", sensors=("rgb",), device="cpu", **size, **options)
    policy = ImagePolicy(network, int(env.single_action_space.n), getattr(torch, precision))
    config = PPOConfig(epochs=epochs, minibatches=minibatches, learning_rate=3e-4)
    trainer = Trainer(env, policy, config, rollout // num_envs, seed=0)

    def work() -> int:
        trainer.iteration()
        return rollout

    facts = {"environments": num_envs, "renderer": env.simulator.renderer.backend, "threads": torch.get_num_threads()}
    facts["precision"] = precision
    protocol.serve(work, facts | networks.sizes(policy.features, policy))


if __name__ == "__main__":
    main()
