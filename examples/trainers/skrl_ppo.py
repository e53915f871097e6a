"""PointNav with skrl's PPO: pip install "batchsim[skrl]"; python examples/trainers/skrl_ppo.py [FRAMES]."""

import json
import sys
import time

import torch
from skrl.agents.torch.ppo import PPO, PPO_CFG
from skrl.memories.torch import RandomMemory
from skrl.models.torch import CategoricalMixin, DeterministicMixin, Model
from skrl.trainers.torch import SequentialTrainer
from skrl.utils.spaces.torch import unflatten_tensorized_space
from torch import nn

import batchsim
from batchsim.agents.adapters import SkrlEnv

N, T = 32, 64
frames = int(sys.argv[1]) if len(sys.argv) > 1 else 120_000
options = {"width": 40, "height": 40, "channels_first": True, "turn_angle": 30.0, "max_episode_steps": 100}
env = SkrlEnv(batchsim.NavVectorEnv(N, "one-room", **options), seed=0)
context = {"observation_space": env.observation_space, "action_space": env.action_space, "device": env.device}


class ActorCritic(CategoricalMixin, DeterministicMixin, Model):
    def __init__(self):
        Model.__init__(self, **context)
        CategoricalMixin.__init__(self, role="policy")
        DeterministicMixin.__init__(self, role="value")
        self.image = nn.Sequential(nn.Conv2d(1, 16, 8, 4), nn.ReLU(), nn.Conv2d(16, 32, 4, 2), nn.ReLU(), nn.Flatten())
        self.joint = nn.Sequential(nn.Linear(32 * 9 + 2, 64), nn.Tanh())
        self.heads = nn.ModuleDict({"policy": nn.Linear(64, 4), "value": nn.Linear(64, 1)})

    def act(self, inputs, *, role=""):
        return (CategoricalMixin if role == "policy" else DeterministicMixin).act(self, inputs, role=role)

    def compute(self, inputs, role=""):
        depth, goal = unflatten_tensorized_space(self.observation_space, inputs["observations"]).values()
        return self.heads[role](self.joint(torch.cat((self.image(depth), goal), -1))), {}


torch.manual_seed(0)
settings = {"discount_factor": 0.98, "learning_rate": 1e-3, "entropy_loss_scale": 0.005, "value_loss_scale": 0.5}
config = PPO_CFG(rollouts=T, learning_epochs=4, mini_batches=4, **settings)
config.experiment.write_interval = config.experiment.checkpoint_interval = 0
models = dict.fromkeys(("policy", "value"), ActorCritic().to(env.device))
memory = RandomMemory(memory_size=T, num_envs=N, device=env.device)
agent, start = PPO(models=models, memory=memory, cfg=config, **context), time.perf_counter()
SequentialTrainer(env=env, agents=agent, cfg={"timesteps": frames // N, "headless": True}).train()
rate = frames / (time.perf_counter() - start)
# Success over the first 4 episodes of each environment from a fresh start; actions are sampled, as in training.
agent.enable_training_mode(False)
(observations, _), ended = env.reset(seed=1), [[] for _ in range(N)]
while min(map(len, ended)) < 4:
    with torch.no_grad():
        observations, *_, info = env.step(agent.act(observations, None, timestep=0, timesteps=0)[0])
    for i in info["_final_info"].nonzero()[:, 0].tolist():
        ended[i].append(float(info["final_info"]["success"][i]))
successes = [success for episodes in ended for success in episodes[:4]]
print(json.dumps({"frames_per_second": rate, "success": sum(successes) / len(successes), "episodes": len(successes)}))
