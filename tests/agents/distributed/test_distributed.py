"""Several processes under torchrun learn what one would, and none of them dies unnoticed."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from batchsim.agents.config import TrainConfig
from batchsim.agents.distributed.ranks import DistributedConfig, Ranks
from batchsim.agents.errors import AgentError
from batchsim.agents.runs.checkpoint import find_checkpoint
from batchsim.agents.training.build import make_trainer
from tests.helpers.paths import ROOT
from tests.helpers.rank_worker import CONFIG, NUM_ENVS, STEPS, UPDATES, train

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
OF_THE_CLOCK = {"fps", "seconds", "us_collect", "us_learn"}


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    """A folder with what two ranks of `rank_worker` left."""
    out = tmp_path_factory.mktemp("ranks")
    worker = ROOT / "tests/helpers/rank_worker.py"
    done = subprocess.run([*TORCHRUN, worker, out], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return out


def weights(out, part, rank):
    return load_file(out / f"{part}-{rank}.safetensors")


def figures(out, part, rank):
    return json.loads((out / f"{part}-{rank}.json").read_text())


def test_two_ranks_learn_what_one_process_learns_from_the_joined_batch(two_ranks):
    """The same experience, hence the same gradients up to rounding, and so the same weights after some updates."""
    joined = make_trainer(replace(CONFIG, num_envs=2 * NUM_ENVS))
    expected = train(joined)
    before = make_trainer(CONFIG).policy.state_dict()
    found = weights(two_ranks, "as_it_is", 0)
    for name, value in joined.policy.state_dict().items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-4)
    assert max((found[name] - before[name]).abs().max() for name in before) > 1e-2
    for a, b in zip(expected, figures(two_ranks, "as_it_is", 0), strict=True):
        assert a.keys() == b.keys()
        for name in a.keys() - OF_THE_CLOCK - {"explained_variance"}:  # of each rank's own returns
            assert b[name] == pytest.approx(a[name], rel=1e-3, abs=1e-5), name
    assert expected[-1]["frames"] == 2 * NUM_ENVS * STEPS * UPDATES


@pytest.mark.parametrize("part", ["as_it_is", "compressed", "six_bits", "pruned", "halved", "late"])
def test_ranks_stay_equal(two_ranks, part):
    first, second = (weights(two_ranks, part, rank) for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_compressed_gradients_are_nearly_the_same(two_ranks):
    plain, compressed = (weights(two_ranks, part, 0) for part in ("as_it_is", "compressed"))
    gaps = torch.stack([(plain[name] - compressed[name]).abs().max() for name in plain])
    assert 0 < gaps.max() < 5e-3


@pytest.mark.parametrize(("part", "share"), [("six_bits", 6 / 32), ("pruned", 0.5 + 1 / 32)])
def test_coded_gradients_are_counted_and_change_little(two_ranks, part, share):
    """Each rank draws its own rounding, and both count the bytes that would travel."""
    plain, coded = (weights(two_ranks, name, 0) for name in ("as_it_is", part))
    gaps = torch.stack([(plain[name] - coded[name]).abs().max() for name in plain])
    assert 0 < gaps.max() < 0.05
    for rank in (0, 1):
        for update in figures(two_ranks, part, rank):
            # small tensors have scales too, and zeros of unused actions are not sent
            assert update["exchanged_gradient_bytes"] == pytest.approx(share, abs=0.07)


def test_ranks_whose_environments_take_turns_in_halves_learn_the_same(two_ranks):
    plain, halved = (weights(two_ranks, part, 0) for part in ("as_it_is", "halved"))
    for name, value in plain.items():
        torch.testing.assert_close(halved[name], value, atol=1e-5, rtol=1e-4)


def test_a_late_rank_is_cut_short(two_ranks):
    first, second = (figures(two_ranks, "late", rank)[-1] for rank in (0, 1))
    assert first["length"] == STEPS
    assert 3 <= second["length"] < STEPS  # 30% of 10 steps at least
    assert first["frames"] == second["frames"] < 2 * NUM_ENVS * STEPS * UPDATES


def pid_of_rank(torchrun: int, rank: int) -> int:
    for line in Path(f"/proc/{torchrun}/task").glob("*/children"):
        for pid in line.read_text().split():
            if f"RANK={rank}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                return int(pid)
    raise AssertionError(f"no rank {rank}")


def test_a_killed_rank_ends_the_job_and_the_run_goes_on_alone(tmp_path):
    sizes = ["--num-envs", "4", "--rollout-steps", "64", "--hidden-size", "16", "--minibatches", "2"]
    options = ["--scenes", "one-room", "--blind", "--log-every", "1", "--eval-scenes", ""]
    command = [*TORCHRUN, "-m", "batchsim.agents.train", "--out", "run", *sizes, *options]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "run" / "log.jsonl"
    deadline = time.monotonic() + 60
    while not (log.exists() and log.read_text().count("\n") >= 2) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(pid_of_rank(process.pid, 1), signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    assert "2 ranks of 4 environments: 8 in all" in errors
    said = [line for line in errors.splitlines() if line.startswith("batchsim-train:")]
    assert len(said) == 1
    assert "Another rank was lost" in said[0]

    progress = json.loads((find_checkpoint(tmp_path / "run") / "trainer.json").read_text())
    assert progress["updates"] >= 2
    assert progress["frames"] == 8 * 64 * progress["updates"]
    config = tmp_path / "run" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"total_frames": progress["frames"] + 4 * 64}))
    command = [sys.executable, "-m", "batchsim.agents.train", "--out", "run", "--resume"]
    resumed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert resumed.returncode == 0, resumed.stderr
    assert "new episodes" in resumed.stderr
    assert json.loads((find_checkpoint(tmp_path / "run") / "trainer.json").read_text())["ranks"] == 1


def test_shards_hold_everything_once():
    items = list(range(7))
    shards = [Ranks(rank, 3).shard(items) for rank in range(3)]
    assert sorted(item for shard in shards for item in shard) == items
    assert max(map(len, shards)) - min(map(len, shards)) == 1
    assert Ranks(2, 3).shard([1, 2]) == [1, 2]


def test_alone_nothing_changes():
    values = torch.randn(50, generator=torch.Generator().manual_seed(0))
    standardized = Ranks().standardized(values)
    assert standardized.mean().abs() < 1e-6
    assert abs(standardized.std() - 1) < 1e-3
    assert Ranks().sum({"a": 2.0}) == {"a": 2.0}
    assert Ranks().any(True, False) == (True, False)
    assert Ranks().gather(5) == [5]


@pytest.mark.parametrize("wrong", [{"preemption_ranks": 0.0}, {"preemption_steps": 1.5}, {"rank_timeout_minutes": 0}])
def test_options_are_checked(wrong):
    with pytest.raises(AgentError, match=next(iter(wrong))):
        TrainConfig(distributed=DistributedConfig(**wrong)).check()


def test_compression_that_cpus_cannot_do_is_refused():
    with pytest.raises(AgentError, match="fp16"):
        Ranks(0, 2, compression="bf16").learner(torch.nn.Linear(2, 2))
