"""PointNav with Stable-Baselines3's PPO: pip install "batchsim[sb3]"; python examples/trainers/sb3_ppo.py [FRAMES].

With --recurrent, sb3-contrib's RecurrentPPO learns instead.
"""

import json
import sys
import time

import numpy as np
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO

import batchsim
from batchsim.agents.adapters import SB3VecEnv

recurrent = "--recurrent" in sys.argv
frames = int(next(iter(arg for arg in sys.argv[1:] if arg.isdigit()), 120_000))
options = {"width": 40, "height": 40, "depth_format": "uint8", "channels_first": True}
env = SB3VecEnv(batchsim.NavVectorEnv(32, "one-room", turn_angle=30.0, max_episode_steps=100, **options))
settings = {"n_steps": 64, "batch_size": 512, "n_epochs": 4, "gamma": 0.98, "learning_rate": 1e-3, "ent_coef": 0.005}
network = {"features_extractor_kwargs": {"cnn_output_dim": 64}}
if recurrent:
    network |= {"lstm_hidden_size": 64}
    model = RecurrentPPO("MultiInputLstmPolicy", env, policy_kwargs=network, seed=0, **settings)
else:
    model = PPO("MultiInputPolicy", env, policy_kwargs=network, seed=0, **settings)

start = time.perf_counter()
model.learn(frames)
rate = model.num_timesteps / (time.perf_counter() - start)

# Success over the first 4 episodes of each environment from a fresh start; actions are sampled, as in training.
env.seed(1)
observation, state, begins = env.reset(), None, np.ones(32, bool)
ended = [[] for _ in range(32)]
while min(map(len, ended)) < 4:
    action, state = model.predict(observation, state, begins)
    observation, _, begins, infos = env.step(action)
    for i in np.flatnonzero(begins):
        ended[i].append(infos[i]["is_success"])
env.close()
successes = [success for episodes in ended for success in episodes[:4]]
print(json.dumps({"frames_per_second": rate, "success": np.mean(successes), "episodes": len(successes)}))
