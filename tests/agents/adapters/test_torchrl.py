"""`TorchRLEnv`: TorchRL's own checks, and rollouts against the environment stepped directly."""

import pytest
import torch

pytest.importorskip("torchrl")
from torchrl.collectors import Collector
from torchrl.envs.utils import check_env_specs

from batchsim.agents.adapters import TorchRLEnv

IMAGES = {"sensors": ("depth", "rgb", "semantic")}


class Script:
    """A policy that plays the rows of a tensor one after the other."""

    def __init__(self, actions):
        self.actions, self.next = actions, 0

    def __call__(self, tensordict):
        self.next += 1
        return tensordict.set("action", self.actions[self.next - 1])


@pytest.mark.parametrize(
    "options", [IMAGES, {"channels_first": True, "depth_format": "uint8"}, {"action_mode": "velocity"}]
)
def test_specs(make_pair, options):
    check_env_specs(TorchRLEnv(make_pair(**options)[0]), seed=3)


def test_a_rollout_holds_every_frame_and_the_true_last_ones(make_pair, actions):
    env, direct = make_pair(**IMAGES)
    adapted = TorchRLEnv(env)
    adapted.set_seed(4)
    found = adapted.rollout(len(actions), Script(actions), break_when_any_done=False)
    observation, _ = direct.reset(seed=4)
    ends = 0
    for t, action in enumerate(actions):
        for name, value in observation.items():
            assert torch.equal(found[name][:, t], value), (t, name)
        observation, reward, terminated, truncated, info = direct.step(action)
        done, after = terminated | truncated, found["next"][:, t]
        ends += int(done.sum())
        assert torch.equal(after["reward"][:, 0], reward)
        for name, flag in (("done", done), ("terminated", terminated), ("truncated", truncated)):
            assert torch.equal(after[name][:, 0], flag)
        for name, value in observation.items():
            expected = torch.where(done.reshape(-1, *[1] * (value.dim() - 1)), info["final_obs"][name], value)
            assert torch.equal(after[name], expected), (t, name)
        expected = torch.where(done, info["final_info"]["success"], info["success"])
        assert torch.equal(after["measures", "success"], expected)
    assert ends > 10


def test_partial_and_full_resets(make_pair, actions):
    env, direct = make_pair(**IMAGES)
    adapted = TorchRLEnv(env)
    adapted.set_seed(0)
    state, (observation, _) = adapted.reset(), direct.reset(seed=0)
    adapted.step(state.set("action", actions[0]))
    direct.step(actions[0])
    mask = torch.tensor([True, False, True])
    found = adapted.reset(state.select().set("_reset", mask.unsqueeze(-1)))
    observation, _ = direct.reset(options={"reset_mask": mask})
    assert torch.equal(found["rgb"][mask], observation["rgb"][mask])
    assert env.simulator.state.step.tolist() == [0, 1, 0]
    adapted.set_seed(9)
    assert torch.equal(adapted.reset()["rgb"], direct.reset(seed=9)[0]["rgb"])


def test_the_collector(make_pair):
    adapted = TorchRLEnv(make_pair(sensors=())[0])
    collector = Collector(adapted, None, frames_per_batch=30, total_frames=60, auto_register_policy_transforms=False)
    batches = list(collector)
    assert [batch.shape for batch in batches] == [(3, 10)] * 2
    joined = torch.cat(batches, 1)
    going_on = ~joined["next", "done"][:, :-1, 0]
    goal = "pointgoal_with_gps_compass"
    assert torch.equal(joined["next", goal][:, :-1][going_on], joined[goal][:, 1:][going_on])
    assert not torch.equal(joined["next", goal][:, :-1][~going_on], joined[goal][:, 1:][~going_on])
