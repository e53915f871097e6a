"""A compiled step gives what the step gives, but for the last digits."""

import pytest
import torch

SMALL = {"sensors": (), "max_episode_steps": 20}


def numbers(value, name=""):
    if isinstance(value, dict):
        return {key: x for part, item in value.items() for key, x in numbers(item, f"{name}/{part}").items()}
    if isinstance(value, tuple):
        return numbers(dict(enumerate(value)), name)
    return {name: value.double()}


def compare(plain, compiled, steps):
    """Steps both from the same states; how many of all rows differ by more than rounding, and how many there were."""
    generator = torch.Generator().manual_seed(0)
    different = rows = ended = 0
    for env in (plain, compiled):
        env.reset(seed=4)
    for _ in range(steps):
        compiled.simulator.state.load_state_dict(plain.simulator.state.state_dict())
        action = torch.randint(plain.single_action_space.n, (plain.num_envs,), generator=generator).to(plain.device)
        expected, found = plain.step(action), compiled.step(action)
        ended += int((expected[2] | expected[3]).sum())
        expected, found = numbers((*expected, plain.state_dict())), numbers((*found, compiled.state_dict()))
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            wrong = ~torch.isclose(found[name], value, atol=1e-4)
            different += int(wrong.sum())
            rows += wrong.numel()
    assert ended > plain.num_envs
    return different, rows


@pytest.mark.slow  # a compiler runs three times for each
@pytest.mark.parametrize("task", ["pointnav", "explore"])
def test_a_compiled_step_gives_what_the_step_gives(homes, make_env, task):
    plain, compiled = (
        make_env(16, homes, task=task, device="cpu", compile_simulator=c, **SMALL) for c in (False, True)
    )
    different, rows = compare(plain, compiled, 80)
    # A foot that stands on the very edge of a cell may be counted to either side.
    assert different <= rows / 10_000


@pytest.mark.gpu
@pytest.mark.parametrize("simulator_cuda_graph", [False, True])
def test_gpu_a_compiled_step_gives_what_the_step_gives(homes, make_env, simulator_cuda_graph):
    options = {"device": "cuda", "simulator_cuda_graph": simulator_cuda_graph, **SMALL}
    plain, compiled = (make_env(64, homes, compile_simulator=c, **options) for c in (False, True))
    different, rows = compare(plain, compiled, 80)
    assert different <= rows / 1_000
    if simulator_cuda_graph:
        assert plain.simulator._advance.refusal == compiled.simulator._advance.refusal == ""


def test_all_parts_are_compiled(one_room, make_env, monkeypatch):
    asked = []
    monkeypatch.setattr(
        torch, "compile", lambda function, **options: asked.append((function.__name__, options)) or function
    )
    make_env(2, one_room, device="cpu", compile_simulator=True, **SMALL)
    assert [name for name, _ in asked] == ["_act", "start_episodes", "observe"]
