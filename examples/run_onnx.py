"""Run an exported policy: python examples/run_onnx.py policy.onnx [SCENES [EPISODES]]. The loop knows no torch."""

import json
import sys

import numpy as np
import onnxruntime

import batchsim

path, scenes, wanted = [*sys.argv[1:4], *["homes:val?count=4", "32"][len(sys.argv) - 2 :]]
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
inputs = {entry.name: entry.shape for entry in session.get_inputs()}
options = json.loads(session.get_modelmeta().custom_metadata_map["environment"])
envs = batchsim.NavVectorEnv(16, scenes, output="numpy", **options)

observation, _ = envs.reset(seed=0)
rng = np.random.default_rng(0)
action, episode_start = np.zeros(16, np.int64), np.ones(16, bool)
state = np.zeros((16, inputs["state"][1]), np.float32)
ended = {"episode_return": []}
while len(ended["episode_return"]) < int(wanted):
    known = {**observation, "previous_action": action, "episode_start": episode_start, "state": state}
    logits, _, state = session.run(None, {name: known[name] for name in inputs})
    action = (logits + rng.gumbel(size=logits.shape)).argmax(-1)  # a draw from the policy
    observation, reward, terminated, truncated, info = envs.step(action)
    episode_start = terminated | truncated
    for name, values in info.get("final_info", {}).items():
        if not name.startswith("_") and values.ndim == 1:
            ended.setdefault(name, []).extend(values[episode_start].tolist())
for name, values in ended.items():
    print(f"{name:18} {np.mean(values):.3f} over {len(values)} episodes")
