"""PointNav with TorchRL's PPO: pip install "batchsim[torchrl]"; python examples/trainers/torchrl_ppo.py [FRAMES]."""

import json
import sys
import time

import torch
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.modules import ActorValueOperator, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

import batchsim
from batchsim.agents.adapters import TorchRLEnv

N, T = 32, 64
frames = int(sys.argv[1]) if len(sys.argv) > 1 else 120_000
options = {"width": 40, "height": 40, "channels_first": True, "turn_angle": 30.0, "max_episode_steps": 100}
env = TorchRLEnv(batchsim.NavVectorEnv(N, "one-room", **options))
env.set_seed(0)  # also torch's seed


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layers = nn.Conv2d(1, 16, 8, 4), nn.ReLU(), nn.Conv2d(16, 32, 4, 2), nn.ReLU(), nn.Flatten()
        self.image, self.joint = nn.Sequential(*layers), nn.Sequential(nn.Linear(32 * 9 + 2, 64), nn.Tanh())

    def forward(self, depth, goal):
        image = self.image(depth.flatten(0, -4)).unflatten(0, depth.shape[:-3])
        return self.joint(torch.cat((image, goal), -1))


encoder = TensorDictModule(Encoder(), ["depth", "pointgoal_with_gps_compass"], ["hidden"])
head = TensorDictModule(nn.Linear(64, env.action_spec.n), ["hidden"], ["logits"])
head = ProbabilisticActor(head, ["logits"], distribution_class=torch.distributions.Categorical, return_log_prob=True)
model = ActorValueOperator(encoder, head, ValueOperator(nn.Linear(64, 1), ["hidden"]))
actor, critic = model.get_policy_operator(), model.get_value_operator()
advantage = GAE(gamma=0.98, lmbda=0.95, value_network=critic)
loss_module = ClipPPOLoss(actor, critic, entropy_coeff=0.005, critic_coeff=0.5, normalize_advantage=True)
optimizer = torch.optim.Adam(loss_module.parameters(), lr=1e-3)
start = time.perf_counter()
for data in Collector(env, actor, frames_per_batch=N * T, total_frames=frames // (N * T) * N * T):
    for _ in range(4):
        advantage(data)
        for rows in torch.randperm(N * T).split(512):
            losses = loss_module(data.reshape(-1)[rows])
            sum(losses[name] for name in ("loss_objective", "loss_critic", "loss_entropy")).backward()
            optimizer.step()
            optimizer.zero_grad()
rate = frames / (time.perf_counter() - start)

# Success over the first 4 episodes of each environment from a fresh start; actions are sampled, as in training.
env.set_seed(1)
with torch.no_grad():
    last = env.rollout(400, actor, break_when_any_done=False)["next"]
successes = [float(x) for i in range(N) for x in last["measures", "success"][i][last["done"][i, :, 0]][:4]]
print(json.dumps({"frames_per_second": rate, "success": sum(successes) / len(successes), "episodes": len(successes)}))
