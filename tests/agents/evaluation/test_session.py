"""Who is evaluated, on what, and the files that come of it; and what gets one clear line instead."""

import csv
import gzip
import json
from dataclasses import replace

import pytest
import torch

from batchsim.agents.baselines.registry import BASELINES, baselines_of
from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.eval import main
from batchsim.agents.evaluation.candidates import Candidate, find_candidates
from batchsim.agents.evaluation.episode_selection import episodes_of_set
from batchsim.agents.evaluation.result_files import load_evaluation
from batchsim.agents.evaluation.results import MEASURES, LeftOut
from batchsim.agents.evaluation.session import EvalSession
from batchsim.agents.report import write_evaluation
from batchsim.agents.runs.checkpoint import save_checkpoint
from batchsim.agents.training.build import make_trainer
from batchsim.scenes import sample_episodes, save_episodes
from batchsim.tasks import PointNav

SMALL = TrainConfig(scenes="one-room", num_envs=2, rollout_steps=4, width=16, height=16, hidden_size=16)
SMALL = replace(SMALL, renderer="raycast", visual_channels=(8, 8), ppo=replace(SMALL.ppo, minibatches=1))


def make_run(folder, config):
    """A run folder as training leaves it, with weights as they begin but sure of themselves."""
    trainer = make_trainer(config)
    with torch.no_grad():
        trainer.policy.actor.weight.mul_(100)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config.to_json()))
    save_checkpoint(folder, trainer)
    trainer.env.close()
    return folder


@pytest.fixture(scope="module")
def runs(cache_of_this_session, tmp_path_factory):
    """Two runs: one sees, one is blind."""
    folder = tmp_path_factory.mktemp("runs")
    return make_run(folder / "sees", SMALL), make_run(folder / "blind", replace(SMALL, blind=True, turn_angle=45.0))


@pytest.fixture(scope="module")
def session(cache_of_this_session):
    return EvalSession(episodes_of_set("four-rooms", 6), num_envs=4, max_episode_steps=40)


def command(arguments, capsys):
    """The exit code, what went to stdout and the lines on stderr."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    told = capsys.readouterr()
    return end.value.code, told.out, told.err.strip().splitlines()


def test_agents_by_name(runs):
    sees, blind = runs
    found = find_candidates([f"blind:{blind}", str(sees), "oracle"])
    assert [candidate.name for candidate in found] == ["blind", "sees", "oracle"]
    assert [candidate.run for candidate in found] == [blind, sees, None]
    assert [candidate.env_options()["sensors"] for candidate in found] == [(), ("depth",), ()]
    # A baseline has the body of the first run.
    assert [candidate.env_options()["turn_angle"] for candidate in found] == [45, 30, 45]


def test_runs_of_one_name_are_told_apart(runs, tmp_path):
    other = make_run(tmp_path / "sees", SMALL)
    assert [candidate.name for candidate in find_candidates([str(runs[0]), str(other)])] == [str(runs[0]), str(other)]


def test_agents_of_two_tasks_are_not_compared(runs, tmp_path):
    other = make_run(tmp_path / "flees", replace(SMALL, task="flee"))
    with pytest.raises(AgentError, match=r"sees was trained for pointnav, .*flees for flee"):
        find_candidates([str(runs[0]), str(other)])
    with pytest.raises(AgentError, match=r"greedy: not a baseline for flee; expected one of random, forward, oracle"):
        find_candidates([str(other), "greedy"])
    assert find_candidates(["oracle"], TrainConfig(task="flee"))[0].config.task == "flee"


@pytest.mark.parametrize("task", ["flee", "explore"])
def test_other_tasks_are_measured_by_their_own_measures(session, task):
    candidates = find_candidates(["random", "oracle"], replace(SMALL, task=task))
    session, alone = (EvalSession(session.chosen, n, max_episode_steps=150) for n in (6, 1))
    random, oracle = (session.run(candidate) for candidate in candidates)
    main_measure = {"flee": "flee_ratio", "explore": "explored_share"}[task]
    assert main_measure in random.measures
    assert "spl" not in random.measures
    assert set(random.measures) < random.summary().keys()
    assert oracle.values(main_measure).mean() > random.values(main_measure).mean()
    # Nothing is known of a goal's distance.
    assert random.per_distance() == []
    for one, other in zip(alone.run(candidates[1]).records, oracle.records, strict=True):
        assert (one.measures, one.path, one.actions) == (other.measures, other.path, other.actions)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "No agent is named"),
        (["oracle", "random", "oracle"], "oracle: named twice"),
        (["nowhere"], r"'nowhere' is neither a run folder nor a baseline \(random"),
        (["blind:oracle"], "'oracle' is neither"),
        (["blind:{sees}"], "sees was trained with images"),
    ],
)
def test_agents_that_are_none(runs, names, said):
    with pytest.raises(AgentError, match=said):
        find_candidates([name.format(sees=runs[0]) for name in names])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": 32}, "reads depth of 16 x 16, .* gives 16 x 32. .* another task or image size"),
        ({"blind": True}, "reads depth of 16 x 16, .* gives none"),
        ({"task": "flee"}, "reads pointgoal_with_gps_compass of 2, .* gives none"),
    ],
)
def test_a_checkpoint_for_other_images_is_refused(runs, session, change, said):
    (candidate,) = find_candidates([str(runs[0])])
    with pytest.raises(AgentError, match=said):
        session.run(replace(candidate, config=replace(candidate.config, **change)))


def test_a_checkpoint_of_another_task_is_refused(runs, session):
    (candidate,) = find_candidates([str(runs[0])])
    policy = candidate.policy
    other = type(policy)(replace(policy.config, vectors={"gps": 2, "compass": 1}, num_actions=3, stop_action=None))
    with pytest.raises(AgentError, match=r"reads gps of 2, .* gives none\. It was trained for another task"):
        session.run(replace(candidate, policy=other))


@pytest.mark.parametrize("name", ["sees", "blind", *baselines_of(PointNav())])
def test_chosen_episodes_are_run_again_alike(runs, session, name):
    (candidate,) = find_candidates([str(next((run for run in runs if run.name == name), name))])
    whole = session.run(candidate)
    seen = []

    def look(snapshot):
        assert snapshot.observation["rgb"].shape == (2, 64, 64, 3) if name in BASELINES else (2, 16, 16, 3)
        seen.append(int((snapshot.index >= 0).sum()))

    again = session.run(candidate, which=[4, 1], on_step=look, sensors=("rgb",))
    assert again.records == (whole.records[4], whole.records[1])
    assert sum(seen) == sum(len(record.actions) for record in again.records)


def test_policies_draw_or_take_the_likeliest(runs, session):
    (candidate,) = find_candidates([str(runs[0])])
    drawn, other = (EvalSession(session.chosen, 4, seed, max_episode_steps=40).run(candidate) for seed in (0, 1))
    likeliest = [
        EvalSession(session.chosen, 4, seed, deterministic=True, max_episode_steps=40).run(candidate) for seed in (0, 1)
    ]
    assert drawn.records != other.records
    assert likeliest[0].records == likeliest[1].records
    assert (drawn.deterministic, likeliest[0].deterministic) == (False, True)


def test_several_agents_make_one_report_and_an_evaluation_each(runs, session, tmp_path):
    sees, _ = runs
    candidates = [*find_candidates([str(sees), "greedy"]), Candidate("oracle", SMALL)]
    left_out = (LeftOut("cellar", "7", "its scene cannot be had"),)
    session = EvalSession(replace(session.chosen, left_out=left_out), num_envs=4, max_episode_steps=40)
    evaluations = [session.run(candidate) for candidate in candidates]
    page = write_evaluation(tmp_path / "out", session, candidates, evaluations, videos=0).read_text()
    for name in ("sees", "greedy", "oracle"):
        assert name in page
    folders = [tmp_path / "out", tmp_path / "out/compared/greedy", tmp_path / "out/compared/oracle"]
    for folder, evaluation in zip(folders, evaluations, strict=True):
        assert load_evaluation(folder / "evaluation.json") == evaluation
        data = json.loads((folder / "evaluation.json").read_text())
        assert data["left_out"] == [{"scene": "cellar", "episode_id": "7", "reason": "its scene cannot be had"}]
        with (folder / "episodes.csv").open() as file:
            lines = list(csv.DictReader(file))
        assert [line["episode_id"] for line in lines] == [record.episode_id for record in evaluation.records]
        assert [float(line["spl"]) for line in lines] == evaluation.values("spl").tolist()


def test_the_command_prints_one_object(capsys, tmp_path):
    arguments = ["greedy", "--scenes", "one-room", "--episodes", 4, "--max-episode-steps", 80, "--json"]
    code, out, _ = command(arguments, capsys)
    assert code == 0
    figures = json.loads(out)
    assert (figures["agent"], figures["episodes"]) == ("greedy", 4)
    assert set(MEASURES) < figures.keys()
    assert figures["per_scene"]["one-room"]["episodes"] == 4
    assert sum(row["episodes"] for row in figures["per_distance"]) == 4
    # The same, whatever runs beside it, and with another agent in the same command.
    for more in (["--num-envs", 1], ["random", "--num-envs", 3]):
        code, out, _ = command([*more[:-2], *arguments, *more[-2:]], capsys)
        assert code == 0
        found = json.loads(out)
        if "random" in more:
            assert [each["agent"] for each in found["evaluations"]] == ["random", "greedy"]
            found = found["evaluations"][1]
        assert found == figures


def test_the_command_runs_an_episode_file(capsys, tmp_path, one_room):
    save_episodes(sample_episodes(one_room, 3, seed=1), tmp_path / "val.json.gz")
    entries = json.loads(gzip.decompress((tmp_path / "val.json.gz").read_bytes()))["episodes"]
    entries[1]["scene_id"] = "lost.glb"
    (tmp_path / "some.json.gz").write_bytes(gzip.compress(json.dumps({"episodes": entries}).encode()))
    out = tmp_path / "out"
    options = ["--episodes-file", tmp_path / "some.json.gz", "--scenes-dir", tmp_path, "--out", out, "--baselines"]
    code, _, lines = command(["oracle", *options, "greedy"], capsys)
    assert code == 0
    assert "1 of 3 episodes are left out. The first is lost.glb 1" in lines[0]
    data = json.loads((out / "evaluation.json").read_text())
    assert data["scenes"] == "some"
    assert [episode["episode_id"] for episode in data["left_out"]] == ["1"]
    assert [record["episode_id"] for record in data["records"]] == ["0", "2"]
    assert data["success"]["mean"] == 1
    assert (out / "compared/greedy/episodes.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["greedy", "--scenes", "one-room", "--episodes", "0"], "episodes is 0; expected 1 to 1,000,000"),
        (["greedy", "--scenes", "one-room", "--num-envs", "0"], "expected at least 1"),
        (["greedy", "--scenes", "one-room", "--episodes", str(10**18)], "expected 1 to 1,000,000"),
        (["greedy", "--scenes", "one-room", "--videos", "-1"], "videos is -1"),
        (["greedy", "--scenes", "one-room", "--seed", "-5"], "seed is -5"),
        (["greedy", "--scenes", "one-room", "--max-episode-steps", str(10**18)], "expected 1 to 100,000"),
        (["greedy", "--scenes", "one-room", "--max-episode-steps", "0"], "max_episode_steps"),
        (["greedy", "--episodes-file", "none.json.gz"], "does not exist"),
        (["greedy", "--scenes-dir", "folder"], "--episodes-file"),
        (["greedy", "--task", "flee"], "greedy: not a baseline for flee"),
        (["random", "--task", "juggle"], "juggle"),
        (["greedy", "--scenes", "one-room", "--baselines", "clever", "--out", "x"], "clever unknown"),
    ],
)
def test_bad_input_gets_one_line(capsys, arguments, said):
    code, out, lines = command(arguments, capsys)
    assert code == 2
    assert out == ""
    assert len(lines) == 1
    assert said in lines[0]
