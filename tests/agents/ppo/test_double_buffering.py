"""Two halves of the environments, stepped alternately, give the same experience as one batch of all."""

from dataclasses import replace

import pytest
import torch

from batchsim.agents.benchmarks.workloads.train import TrainBenchOptions, bench_train
from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.ppo.ppo import PPOConfig
from batchsim.agents.runs.checkpoint import find_checkpoint, load_trainer, save_checkpoint
from batchsim.cuda_graph import sync_debug
from tests.helpers.small_runs import FRAMES, SMALL

ONE = TrainConfig(**SMALL)
TWO = replace(ONE, double_buffering=True)
OF_THE_CLOCK = {"fps", "seconds", "us_collect", "us_learn"}


def step_by_rows(policy):
    """Sums in a product of matrices depend on how many rows it has: have `policy` take each step a row at a time."""
    step = policy.step

    def by_rows(observation, action, episode_start, state):
        rows = range(len(action))
        parts = [
            step({name: value[i : i + 1] for name, value in observation.items()}, *(x[i : i + 1] for x in rest))
            for i, rest in ((i, (action, episode_start, state)) for i in rows)
        ]
        return tuple(torch.cat(part) for part in zip(*parts, strict=True))

    policy.step = by_rows


def tensors_of(rollout):
    return {name: value for name, value in vars(rollout).items() if isinstance(value, torch.Tensor)}


def test_experience_and_learning_are_those_of_one_batch(make, homes):
    """To the last bit, images included; episodes are truncated in every rollout."""
    one, two = (make(replace(config, scenes=homes[:2])) for config in (ONE, TWO))
    assert [len(t.collectors) for t in (one, two)] == [1, 2]
    assert one.env.num_envs == 2 * two.env.num_envs == one.num_envs == two.num_envs
    for trainer in (one, two):
        step_by_rows(trainer.policy)
    for _ in range(3):
        figures = [{k: v for k, v in t.iteration().items() if k not in OF_THE_CLOCK} for t in (one, two)]
        assert figures[0] == pytest.approx(figures[1], rel=1e-6)  # means of episodes are of sums in another order
        assert figures[0]["episodes"] > 0
        expected, found = (tensors_of(t.rollout) for t in (one, two))
        for name, value in expected.items():
            assert torch.equal(found[name], value), name
        for name, value in one.rollout.observations.items():
            assert torch.equal(two.rollout.observations[name], value), name
            assert value.float().std() > 0
    for a, b in zip(one.policy.parameters(), two.policy.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_halves_alternate(make, monkeypatch):
    """While the images of one are rendered, the policy acts in the other."""
    trainer = make(replace(TWO, rollout_steps=2))
    said = []

    def listen(collector, half):
        for name in ("step_async", "step_wait"):
            method = getattr(collector.env, name)
            heard = f"{half} {name.removeprefix('step_')}"
            monkeypatch.setattr(collector.env, name, lambda *a, m=method, h=heard: (said.append(h), m(*a))[1])

    for half, collector in zip("ab", trainer.collectors, strict=True):
        listen(collector, half)
    trainer.collect()
    assert said == ["a async", "b async", "a wait", "a async", "b wait", "b async", "a wait", "b wait"]


class LateAfter:
    """A preemption that finds the rank late from some number of steps on."""

    def __init__(self, steps):
        self.steps, self.finished = steps, 0

    def is_late(self, steps_done):
        return steps_done >= self.steps

    def finish(self):
        self.finished += 1


def test_a_late_rank_s_halves_are_cut_short_together(make):
    straight, late = make(TWO), make(TWO)
    late._preemption = LateAfter(3)
    for trainer in (straight, late):
        trainer.collect()
    assert (late.rollout.length, straight.rollout.length) == (3, ONE.rollout_steps)
    assert late._preemption.finished == 1
    for name in ("actions", "rewards", "done"):
        assert torch.equal(getattr(late.rollout, name)[:3], getattr(straight.rollout, name)[:3])
    done = late.rollout.done[2].clone()
    late.collect()
    assert torch.equal(late.rollout.episode_start[0], done)  # both halves continue where they were stopped
    assert late.iteration()["frames"] == 3 * ONE.num_envs


def test_a_resumed_run_is_the_same_bit_for_bit(make, tmp_path):
    straight, resumed = make(TWO), make(TWO)
    straight.iteration()
    save_checkpoint(tmp_path, straight)
    assert load_trainer(find_checkpoint(tmp_path), resumed) is None
    for _ in range(2):
        figures = [{k: v for k, v in t.iteration().items() if k not in OF_THE_CLOCK} for t in (straight, resumed)]
        assert figures[0] == figures[1]
    for a, b in zip(straight.policy.parameters(), resumed.policy.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("before", "after"), [(ONE, TWO), (TWO, ONE)])
def test_a_checkpoint_of_the_other_kind_continues_with_new_episodes(make, tmp_path, before, after):
    saved, other = make(before), make(after)
    saved.iteration()
    save_checkpoint(tmp_path, saved)
    assert "double_buffering has changed" in load_trainer(find_checkpoint(tmp_path), other)
    assert all(collector.env.simulator.state.episode.eq(0).all() for collector in other.collectors)
    assert other.iteration()["frames"] == 2 * FRAMES


def test_swapped_scenes_are_counted_over_both_halves(make, tmp_path, one_room, four_rooms):
    for name, scene in (("a", one_room), ("b", four_rooms), ("c", one_room), ("d", four_rooms)):
        scene.save(tmp_path / f"{name}.scene")
    (tmp_path / "broken.scene").write_bytes(b"nothing")
    config = replace(TWO, scenes=str(tmp_path), num_resident_scenes=2, max_episode_steps=3)
    trainer = make(config)
    for _ in range(16):
        trainer.collect()
    counts = trainer.scene_counts
    assert list(trainer.failed_scenes) == [f"{tmp_path}/broken.scene"]
    assert counts["scenes_visited"] == 4
    assert counts["scenes_failed"] == 1
    assert counts["scene_changes"] == sum(c.env.scene_counts["scene_changes"] for c in trainer.collectors) > 4


def test_halves_must_be_equal():
    with pytest.raises(AgentError, match="num_envs is 7; double_buffering needs an even number"):
        replace(TWO, num_envs=7, ppo=PPOConfig()).check()


def test_a_benchmark_counts_both_halves(cache_of_this_session):
    record = bench_train(TrainBenchOptions(TWO, limits=False, iterations=1, repeats=1))
    assert record.num_envs == ONE.num_envs
    stages = record.us_per_frame
    assert min(stages.values()) > 0
    assert sum(stages.values()) == pytest.approx(1e6 / record.fps)


@pytest.mark.gpu
def test_gpu_experience_is_that_of_one_batch(make, homes):
    shared = {"scenes": homes[:2], "device": "cuda", "num_envs": 16, "rollout_steps": 12}
    one, two = (make(replace(config, **shared)) for config in (ONE, TWO))
    for trainer in (one, two):
        trainer.policy.actor.weight.data.zero_()  # the same chances whatever the batch, and so the same actions
        trainer.collect()
        trainer.collect()
    assert one.rollout.done.any()
    for name in ("actions", "done", "episode_start", "previous_actions"):
        assert torch.equal(getattr(two.rollout, name), getattr(one.rollout, name)), name
    torch.testing.assert_close(two.rollout.rewards, one.rollout.rewards, atol=1e-3, rtol=0)
    for name, value in one.rollout.observations.items():
        torch.testing.assert_close(two.rollout.observations[name], value, atol=2e-3, rtol=0)


@pytest.mark.gpu
def test_gpu_halves_are_collected_without_waiting(make, homes):
    """Torch raises for whatever makes the host wait for the device."""
    trainer = make(replace(TWO, scenes=homes[:2], device="cuda", num_envs=16, policy_cuda_graph=True))
    trainer.collect()
    with sync_debug("error"):
        trainer.collect()
    assert trainer.rollout.done.any()
