"""Run folders that name a task to import, and weights that are not numbers, are refused.

Hostile pickles in place of files are in `tests/invariants/test_no_code_from_files.py`.
"""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from batchsim.agents.errors import AgentError
from batchsim.agents.eval import main
from batchsim.agents.evaluation.candidates import find_candidates, load_run
from tests.agents.evaluation.test_session import SMALL, make_run


@pytest.fixture(scope="module")
def trained(cache_of_this_session, tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("trained") / "run", SMALL)


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module with a task, which leaves a trace when it is imported."""
    (tmp_path / "modules").mkdir()
    trace = tmp_path / "imported"
    code = f"import pathlib\npathlib.Path({str(trace)!r}).touch()\nfrom batchsim.tasks import PointNav\n"
    (tmp_path / "modules/hostile_task.py").write_text(code + "class Mine(PointNav):\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    yield trace
    sys.modules.pop("hostile_task", None)


def name_task(run, task: str) -> None:
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"task": task}))


def test_a_task_of_a_config_file_is_imported_only_if_it_is_trusted(run, module):
    name_task(run, "hostile_task:Mine")
    with pytest.raises(AgentError, match=r"config\.json names the task 'hostile_task:Mine'.*--trust") as error:
        load_run(str(run))
    assert "--task hostile_task:Mine" in str(error.value)
    with pytest.raises(AgentError, match="--trust"):
        find_candidates([str(run), "oracle"])
    assert not module.exists()
    assert load_run(str(run), trusted_task="hostile_task:Mine").config.task == "hostile_task:Mine"
    assert module.exists()


def test_the_command_refuses_an_untrusted_task(run, module, capsys):
    name_task(run, "hostile_task:Mine")
    arguments = [str(run), "--scenes", "one-room", "--episodes", "1", "--out", str(run / "out"), "--baselines"]
    with pytest.raises(SystemExit) as end:
        main(arguments)
    lines = capsys.readouterr().err.strip().splitlines()
    assert (end.value.code, len(lines)) == (2, 1)
    assert "--trust" in lines[0]
    assert not module.exists()
    for trust in (["--trust"], ["--task", "hostile_task:Mine"]):
        with pytest.raises(SystemExit) as end:
            main([*arguments, "--max-episode-steps", "5", "--videos", "0", *trust])
        assert end.value.code == 0
    assert module.exists()


def test_weights_that_are_not_numbers_are_refused(run):
    from safetensors.torch import load_file, save_file

    from batchsim.agents.runs.checkpoint import load_policy

    policy = load_policy(run)
    folder = next(run.glob("checkpoint/**/policy.safetensors")).parent
    weights = load_file(folder / "policy.safetensors")
    next(iter(weights.values())).view(-1)[0] = float("nan")
    save_file(weights, folder / "policy.safetensors")
    assert policy is not None
    with pytest.raises(AgentError):
        load_run(str(run))
