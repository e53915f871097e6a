"""PointNav with PPO in one file, with CleanRL's conventions: python examples/trainers/cleanrl_ppo.py [FRAMES]."""

import json
import sys
import time

import torch
from torch import nn

import batchsim
from batchsim.agents.adapters import CleanRLVectorEnv

N, T, GAMMA, LAMBDA = 32, 64, 0.98, 0.95
updates = (int(sys.argv[1]) if len(sys.argv) > 1 else 120_000) // (N * T)
options = {"width": 40, "height": 40, "channels_first": True, "turn_angle": 30.0, "max_episode_steps": 100}
envs = CleanRLVectorEnv(batchsim.NavVectorEnv(N, "one-room", **options))
torch.manual_seed(0)
image = nn.Sequential(nn.Conv2d(1, 16, 8, 4), nn.ReLU(), nn.Conv2d(16, 32, 4, 2), nn.ReLU(), nn.Flatten())
joint = nn.Sequential(nn.Linear(32 * 9 + 2, 64), nn.Tanh())
agent = nn.ModuleList([image, joint, nn.Linear(64, envs.single_action_space.n), nn.Linear(64, 1)])
optimizer = torch.optim.Adam(agent.parameters(), lr=1e-3)


def act_and_value(rows):
    seen = envs.unflatten(rows)
    hidden = joint(torch.cat((image(seen["depth"]), seen["pointgoal_with_gps_compass"]), -1))
    return torch.distributions.Categorical(logits=agent[2](hidden)), agent[3](hidden).squeeze(-1)


start, obs, ended = time.perf_counter(), torch.as_tensor(envs.reset(seed=0)[0]), [[] for _ in range(N)]
for update in range(updates + 7):  # the last 7 evaluate: from a fresh start, at least 4 episodes of each environment
    if update == updates:
        rate = updates * N * T / (time.perf_counter() - start)
        obs, ended = torch.as_tensor(envs.reset(seed=1)[0]), [[] for _ in range(N)]
    kept = []
    for _ in range(T):
        with torch.no_grad():
            policy, value = act_and_value(obs)
        next_obs, reward, terminated, truncated, infos = envs.step((action := policy.sample()).numpy())
        for i, info in enumerate(infos.get("final_info", ())):
            ended[i] += [] if info is None else [float(info["success"])]
        goes_on = torch.as_tensor(~(terminated | truncated)).float()
        kept.append((obs, action, policy.log_prob(action), value, torch.as_tensor(reward), goes_on))
        obs = torch.as_tensor(next_obs)
    seen, actions, log_probs, values, rewards, goes_on = map(torch.stack, zip(*kept, strict=True))
    following, advantages = act_and_value(obs)[1].detach(), torch.zeros(T + 1, N)
    for t in reversed(range(T)):
        error = rewards[t] + GAMMA * following * goes_on[t] - values[t]
        advantages[t], following = error + GAMMA * LAMBDA * goes_on[t] * advantages[t + 1], values[t]
    batch = [x.flatten(0, 1) for x in (seen, actions, log_probs, advantages[:-1], advantages[:-1] + values)]
    for rows in torch.cat([torch.randperm(N * T) for _ in range(4)]).split(512) if update < updates else ():
        policy, value = act_and_value(batch[0][rows])
        b_action, b_log_prob, b_advantage, b_return = (x[rows] for x in batch[1:])
        ratio, b_advantage = (policy.log_prob(b_action) - b_log_prob).exp(), b_advantage - b_advantage.mean()
        gain = torch.minimum(ratio * b_advantage, ratio.clamp(0.8, 1.2) * b_advantage).mean() / b_advantage.std()
        optimizer.zero_grad()
        (0.5 * (value - b_return).pow(2).mean() - gain - 0.005 * policy.entropy().mean()).backward()
        optimizer.step()
successes = [success for episodes in ended for success in episodes[:4]]
print(json.dumps({"frames_per_second": rate, "success": sum(successes) / len(successes), "episodes": len(successes)}))
