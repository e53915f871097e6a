"""PointNav with RSL-RL's PPO: pip install "batchsim[rsl-rl]"; python examples/trainers/rsl_rl_ppo.py [FRAMES].

RSL-RL acts in real numbers: the speed ahead and the speed of turning.
"""

import json
import sys
import time

import torch
from rsl_rl.runners import OnPolicyRunner

import batchsim
from batchsim.agents.adapters import RslRlVecEnv

frames = int(sys.argv[1]) if len(sys.argv) > 1 else 150_000
velocity = {"ang_vel_range": (-30.0, 30.0), "min_abs_lin_speed": 0.1, "min_abs_ang_speed": 10.0}
options = {"width": 40, "height": 40, "channels_first": True, "action_mode": "velocity", "velocity": velocity}
env = RslRlVecEnv(batchsim.NavVectorEnv(32, "one-room", max_episode_steps=100, **options), seed=0)
goal = "pointgoal_with_gps_compass"
cnn = {"output_channels": [16, 32], "kernel_size": [8, 4], "stride": [4, 2], "activation": "relu"}
network = {"class_name": "CNNModel", "hidden_dims": [64, 64], "activation": "elu", "cnn_cfg": cnn}
distribution = {"class_name": "GaussianDistribution", "init_std": 0.7}
steps = 64
config = {
    "num_steps_per_env": steps,
    "save_interval": 1000,
    "obs_groups": {"actor": ["depth", goal], "critic": ["depth", goal]},
    "actor": {**network, "distribution_cfg": distribution},
    "critic": dict(network),
    "algorithm": {
        "class_name": "PPO",
        "num_learning_epochs": 4,
        "num_mini_batches": 4,
        "gamma": 0.98,
        "entropy_coef": 0.002,
    },
}
torch.manual_seed(0)
runner = OnPolicyRunner(env, config, device=str(env.device))
start = time.perf_counter()
runner.learn(frames // (steps * env.num_envs), init_at_random_ep_len=True)
rate = frames / (time.perf_counter() - start)

# Success over the first 4 episodes of each environment from a fresh start; the policy acts by its mean.
policy, ended = runner.get_inference_policy(), [[] for _ in range(env.num_envs)]
observations = env.reset(seed=1)
while min(map(len, ended)) < 4:
    with torch.inference_mode():
        actions = policy(observations)
    observations, _, dones, extras = env.step(actions)
    for i in dones.nonzero().flatten().tolist():
        ended[i].append(float(extras["final_info"]["success"][i]))
env.close()
successes = [success for episodes in ended for success in episodes[:4]]
print(json.dumps({"frames_per_second": rate, "success": sum(successes) / len(successes), "episodes": len(successes)}))
