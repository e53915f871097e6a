"""The command from a run to a small run that is evaluated like any other, and one line for what it cannot use."""

import json
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from batchsim.agents import shrink
from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.eval import main as eval_main
from batchsim.agents.evaluation.candidates import load_run
from batchsim.agents.evaluation.evaluate import evaluate
from batchsim.agents.evaluation.onnx_policy import INT8_FILE, OnnxPolicy, open_session
from batchsim.agents.evaluation.policy_agent import PolicyAgent
from batchsim.agents.networks.onnx_export import export_onnx
from batchsim.agents.networks.policy import Policy
from batchsim.agents.runs.checkpoint import load_policy, save_policy
from batchsim.agents.runs.shrink_record import load_record
from batchsim.agents.shrink import main
from batchsim.agents.shrinking import int8, pipeline
from batchsim.agents.shrinking.recipe import Recipe
from batchsim.agents.shrinking.retraining import Stopped
from batchsim.agents.shrinking.student import StudentSize, count, parameters, student_config
from batchsim.agents.shrinking.walks import agreement, walk
from batchsim.agents.training.build import make_trainer
from batchsim.scenes.atomic_files import atomic_write
from tests.helpers.small_runs import SMALL

CONFIG = replace(TrainConfig(**SMALL), num_envs=4, visual_channels=(16, 16), hidden_size=48)
CONFIG = replace(CONFIG, ppo=replace(CONFIG.ppo, minibatches=2))
STEPS = ("--distil", "patches", "--share", "0.4", "--prune", "0.8", "--powers-of-two", "5", "--int8")
BUDGET = ("--frames", "60", "--retrain-frames", "60")
EVALUATION = ("--eval-scenes", "one-room", "--eval-episodes", "3", "--videos", "0")


def command(arguments, capsys, program=main):
    """The exit code, what went to stdout and the lines on stderr."""
    with pytest.raises(SystemExit) as end:
        program([str(argument) for argument in arguments])
    told = capsys.readouterr()
    return end.value.code, told.out, told.err.strip().splitlines()


@pytest.fixture(scope="module")
def teacher(cache_of_this_session, tmp_path_factory):
    """A run as training leaves it, sure of itself."""
    folder = tmp_path_factory.mktemp("runs") / "teacher"
    torch.manual_seed(0)
    trainer = make_trainer(CONFIG)
    with torch.no_grad():
        trainer.policy.actor.weight.mul_(100)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG.to_json()))
    save_policy(folder, trainer.policy)
    trainer.close()
    return folder


@pytest.fixture(scope="module")
def small(teacher):
    """What all steps make of it."""
    out = teacher.parent / "small"
    with pytest.raises(SystemExit) as end:
        main([str(teacher), "--out", str(out), *STEPS, *BUDGET, *EVALUATION])
    assert end.value.code == 0
    return out


def test_every_step_is_recorded_with_its_costs(teacher, small):
    record = load_record(small)
    names = ["teacher", "distil patches", "prune 0.8", "powers of two, 5 bits", "int8"]
    assert [row.name for row in record.rows] == names
    rows = dict(zip(names, record.rows, strict=True))
    assert rows["teacher"].parameters == count(load_policy(teacher))
    student = rows["distil patches"]
    assert student.parameters <= 0.4 * rows["teacher"].parameters
    assert student.flops < rows["teacher"].flops
    assert rows["prune 0.8"].nonzero < 0.35 * student.nonzero
    assert rows["prune 0.8"].file_bytes < 0.6 * student.file_bytes
    assert rows["powers of two, 5 bits"].file_bytes < rows["prune 0.8"].file_bytes
    assert rows["int8"].file_bytes == (small / INT8_FILE).stat().st_size
    assert all(row.latency_us > 0 and set(row.measures) == {"success", "spl"} for row in record.rows)
    assert record.fidelity.observations >= 1000
    assert record.fidelity.float_difference < 1e-4
    assert record.fidelity.int8_same_action >= 0.95
    model = onnx.load(small / INT8_FILE)
    integers = sum(np.prod(t.dims) for t in model.graph.initializer if t.data_type == onnx.TensorProto.INT8)
    floats = sum(np.prod(t.dims) for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT)
    assert integers > 0.15 * student.parameters  # a fifth of them is left
    assert floats < 0.1 * student.parameters
    page = (small / "report.html").read_text()
    assert "Costs and savings" in page
    assert "Success over bytes" in page


def test_each_step_leaves_a_run_with_the_weights_that_it_promises(small):
    found = {
        folder.name: load_run(str(folder))
        for folder in (small / "steps").iterdir()
        if (folder / "config.json").exists()
    }
    assert sorted(found) == ["1-distil", "2-prune", "3-powers-of-two", "4-int8"]
    assert [name for name, run in found.items() if run.onnx] == ["4-int8"]
    for name in ("2-prune", "3-powers-of-two", "4-int8"):
        weight = found[name].policy.core.from_input.weight
        assert float((weight == 0).float().mean()) >= 0.799
    powers = found["3-powers-of-two"].policy.core.from_input.weight
    sizes = powers[powers != 0].abs().log2()
    assert torch.equal(sizes, sizes.round())
    last, result = found["4-int8"].policy.state_dict(), load_policy(small).state_dict()
    assert all(torch.equal(value, last[name]) for name, value in result.items())


def test_the_result_is_evaluated_in_int8_beside_its_teacher(teacher, small, capsys):
    code, out, _ = command([small, teacher, *EVALUATION_OF_EVAL, "--json"], capsys, eval_main)
    assert code == 0
    names = [each["agent"] for each in json.loads(out)["evaluations"]]
    assert names == ["small", "teacher"]
    assert load_run(str(small)).onnx == small / INT8_FILE
    assert evaluate(small, "one-room", 2).summary()["episodes"] == 2


EVALUATION_OF_EVAL = ("--scenes", "one-room", "--episodes", "3", "--videos", "0")


def test_the_agent_acts_as_the_file_says(teacher, tmp_path, seeded):
    """Also with more environments than fit a block, and over the starts of episodes."""
    policy = load_policy(teacher)
    export_onnx(policy, tmp_path / "policy.onnx")
    twins = policy, OnnxPolicy(tmp_path / "policy.onnx", policy)
    agents = [PolicyAgent(twin, 40) for twin in twins]
    for _ in range(5):
        observation = {"depth": torch.rand(40, 16, 16, 1), "pointgoal_with_gps_compass": torch.randn(40, 2)}
        start, uniform = torch.rand(40) < 0.3, torch.rand(40)
        first, second = (agent.act(observation, start, uniform) for agent in agents)
        assert torch.equal(first, second)


@pytest.fixture
def without_files(monkeypatch):
    """Leaves out exports and measurements, which take most of the time."""
    monkeypatch.setattr(pipeline, "write_float", lambda policy, path, config: atomic_write(path, b""))
    monkeypatch.setattr(shrink, "_measure", lambda record, networks, command: record)
    monkeypatch.setattr(shrink, "print_table", lambda record: None)


def test_the_same_command_again_takes_no_step_again(small, teacher, monkeypatch, capsys):
    monkeypatch.setattr(pipeline, "retrain", None)
    code, out, _ = command([teacher, "--out", small, *STEPS, *BUDGET, "--eval-scenes", "", "--json"], capsys)
    assert code == 0
    assert len(json.loads(out)["rows"]) == 5
    code, _, said = command([teacher, "--out", small, *STEPS, "--frames", "99"], capsys)
    assert (code, len(said)) == (2, 1)
    assert "with other options (frames, retrain_frames)" in said[0]


def test_a_stopped_step_continues(without_files, teacher, tmp_path, monkeypatch, capsys):
    """It is stopped in the middle of pruning; distillation is not done again."""
    options = [teacher, "--out", tmp_path / "out", "--distil", "patches", "--prune", "0.5", "--eval-scenes", ""]
    options += ["--frames", "60", "--retrain-frames", "200", "--share", "0.4"]
    plain, made = pipeline.retrain, []

    def stopped_early(folder, config, *rest):
        made.append(folder.name)
        if folder.name == "2-prune" and made.count("2-prune") == 1:
            plain(folder, replace(config, total_frames=60), *rest)
            raise Stopped(15)
        return plain(folder, config, *rest)

    monkeypatch.setattr(pipeline, "retrain", stopped_early)
    code, _, said = command(options, capsys)
    assert code == 143
    assert "same command" in said[-1]
    assert command(options, capsys)[0] == 0
    assert made == ["1-distil", "2-prune", "2-prune"]
    log = (tmp_path / "out" / "steps" / "2-prune" / "log.jsonl").read_text().splitlines()
    frames = [json.loads(line)["frames"] for line in log]
    assert frames == sorted(set(frames))
    assert frames[-1] >= 200


def test_a_student_that_exists_already(without_files, teacher, tmp_path, capsys):
    """It is trained further, with its own encoder and size."""
    config = replace(CONFIG, visual_channels=(4,), hidden_size=8, core="lstm")
    student = tmp_path / "student"
    student.mkdir()
    (student / "config.json").write_text(json.dumps(config.to_json()))
    like = load_policy(teacher).config
    save_policy(student, Policy(replace(like, visual_channels=(4,), hidden_size=8, core="lstm")))
    options = ["--student", student, "--frames", "30", "--eval-scenes", ""]
    assert command([teacher, "--out", tmp_path / "out", *options], capsys)[0] == 0
    assert load_policy(tmp_path / "out").config.core == "lstm"
    (student / "config.json").write_text(json.dumps(config.to_json() | {"blind": True}))
    save_policy(student, Policy(replace(like, visual_channels=(4,), hidden_size=8, images=())))
    code, _, said = command([teacher, "--out", tmp_path / "blind", *options], capsys)
    assert (code, len(said)) == (2, 1)
    assert "its images is (), but the teacher's is ('depth',)" in said[0]
    (student / "config.json").write_text(json.dumps(config.to_json() | {"task": "flee"}))
    save_policy(
        student, Policy(replace(like, visual_channels=(4,), hidden_size=8, vectors={}, num_actions=3, stop_action=None))
    )
    code, _, said = command([teacher, "--out", tmp_path / "other", *options], capsys)
    assert (code, len(said)) == (2, 1)
    assert "was trained for flee, but the teacher" in said[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "No step is chosen"),
        (("--prune", "0"), "prune is 0; expected a fraction between 0 and 1"),
        (("--prune", "1"), "prune is 1; expected"),
        (("--prune", "80"), "prune is 80; expected"),
        (("--prune", "nan"), "prune is nan; expected"),
        (("--powers-of-two", "1"), "powers_of_two is 1; expected 3 to 8"),
        (("--distil", "patches", "--share", "1"), "share is 1; expected"),
        (("--distil", "patches", "--share", "0.001"), "The smallest student with the encoder patches"),
        (("--distil", "se_resnet9"), "both sides must be multiples of 32 for se_resnet9"),
        (("--distil", "patches", "--student", "x"), "choose one of them"),
        (("--int8", "--hidden-size", "8"), "hidden_size: sizes of a new student, which needs --distil"),
        (("--int8", "--frames", "0"), "frames is 0"),
        (("--int8", "--eval-scenes", "nowhere"), "nowhere"),
        (("--int8", "--eval-episodes", "0"), "eval_episodes is 0"),
        (("--student", "nowhere"), "'nowhere' is neither a run folder nor"),
    ],
)
def test_wrong_options_get_one_line(teacher, tmp_path, capsys, options, said):
    code, _, lines = command([teacher, "--out", tmp_path / "out", *options], capsys)
    assert (code, len(lines)) == (2, 1)
    assert said in lines[0]
    assert not list((tmp_path / "out").glob("steps/*"))


def test_wrong_runs_get_one_line(teacher, tmp_path, capsys, monkeypatch):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "config.json").write_text(json.dumps(CONFIG.to_json()))
    for run, out, said in (
        (empty, tmp_path / "out", "holds no checkpoint"),
        (tmp_path / "none", tmp_path / "out", "is neither a run folder"),
        (teacher, teacher, "is the teacher's own folder"),
        (teacher, empty, "holds a run that batchsim-shrink has not made"),
    ):
        code, _, lines = command([run, "--out", out, "--int8"], capsys)
        assert (code, len(lines)) == (2, 1)
        assert said in lines[0]
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, _, lines = command([teacher, "--out", tmp_path / "out", "--int8"], capsys)
    assert (code, len(lines)) == (2, 1)
    assert 'batchsim-shrink needs the extra "onnx"' in lines[0]


def test_damaged_files_get_one_line(small, teacher, tmp_path):
    policy = load_policy(small)
    for content in (b"", b"no model", (small / INT8_FILE).read_bytes()[:500]):
        (tmp_path / "damaged.onnx").write_bytes(content)
        with pytest.raises(AgentError, match=r"damaged.onnx"):
            OnnxPolicy(tmp_path / "damaged.onnx", policy)
    with pytest.raises(AgentError, match="run's policy"):
        OnnxPolicy(small / INT8_FILE, load_policy(teacher))


def test_the_widest_student_within_the_share_is_chosen(teacher):
    run = load_run(str(teacher))
    like = run.policy.config
    for share in (0.15, 0.5):
        config = student_config(run, StudentSize("patches", share=share))
        wider = replace(config, hidden_size=config.hidden_size + 8)
        assert parameters(like, config) <= share * count(run.policy) < parameters(like, wider) * 1.5
    chosen = student_config(run, StudentSize("patches", (4, 4), 8))
    assert (chosen.visual_channels, chosen.hidden_size) == ((4, 4), 8)


@pytest.mark.parametrize("way", ["static", "weights"])
def test_both_ways_to_int8_act_as_the_network(teacher, tmp_path, monkeypatch, way):
    """The faster one is kept; here it is said which."""
    run = load_run(str(teacher))
    steps = walk(run.policy, run.config, 256)
    monkeypatch.setattr(int8, "latencies", lambda files, steps: {name: float(name != way) for name in files})
    source, target = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    export_onnx(run.policy, source, {"turn_angle": 30.0})
    assert int8.quantise(source, target, steps) == way
    assert target.stat().st_size < 0.4 * source.stat().st_size
    metadata = {entry.key: entry.value for entry in onnx.load(target).metadata_props}
    assert metadata["int8"] == way
    assert {"policy", "environment"} < set(metadata)
    session = open_session(target)
    found = agreement(lambda feed: session.run(None, feed), steps)
    assert found.same_action >= 0.95
    assert found.largest_difference > 1e-4  # it is rounded


def test_the_steps_have_one_order():
    recipe = Recipe(int8=True, powers_of_two=4, prune=0.5, distil="patches")
    assert [folder for folder, _ in recipe.steps()] == ["1-distil", "2-prune", "3-powers-of-two", "4-int8"]
