"""What is recorded once gives what the function gives, whatever it is given later."""

import pytest
import torch

from batchsim.cuda_graph import CudaGraph, Graphed, copy_all
from tests.helpers.recorded_graph import RecordedGraph


def mixed(given, extra):
    """Views, writes in place, several types, and an input handed on as it is."""
    total = given["a"].sum(-1, keepdim=True)
    shifted = given["a"].clone()
    shifted[:, 0] += extra[0]
    return {"a": shifted, "parts": [total.expand(-1, 2), given["b"] > 0], "same": given["b"]}


def arguments(seed, rows=3):
    generator = torch.Generator().manual_seed(seed)
    a, b, c = (torch.randn(rows, 2, generator=generator) for _ in range(3))
    return {"a": a, "b": (10 * b).long()}, [c.sum(-1)]


def assert_same(a, b):
    assert torch.equal(a["a"], b["a"])
    assert torch.equal(a["same"], b["same"])
    assert all(map(torch.equal, a["parts"], b["parts"]))


@pytest.fixture
def graphs():
    RecordedGraph.made.clear()
    return RecordedGraph.made


def test_replays_equal_calls_and_what_was_handed_out_stays(graphs):
    graphed = Graphed(mixed, make_graph=RecordedGraph)
    found = [graphed(*arguments(seed)) for seed in range(5)]
    for seed, one in enumerate(found):
        assert_same(one, mixed(*arguments(seed)))
    assert [graph.replays for graph in graphs] == [5]


def test_others_go_to_the_function(graphs):
    graphed = Graphed(mixed, make_graph=RecordedGraph)
    graphed(*arguments(0))
    assert_same(graphed(*arguments(1, rows=4)), mixed(*arguments(1, rows=4)))
    given, extra = arguments(2)
    turned = {"b": given["b"], "a": given["a"]}, extra
    assert_same(graphed(*turned), mixed(given, extra))
    assert_same(graphed(given, [extra[0].double()]), mixed(given, [extra[0].double()]))
    assert [graph.replays for graph in graphs] == [1]


def test_tensors_that_are_no_arguments_are_read_anew(graphs):
    weight = torch.ones(3)
    graphed = Graphed(lambda x: weight * x, make_graph=RecordedGraph)
    assert graphed(torch.ones(3)).tolist() == [1, 1, 1]
    weight.mul_(5)
    assert graphed(torch.full((3,), 2.0)).tolist() == [10, 10, 10]


def test_recording_leaves_nothing_behind():
    count = torch.zeros(2)
    graphed = Graphed(lambda x: count.add_(x).clone(), warm_ups=0, make_graph=RecordedGraph)
    assert graphed(torch.ones(2)).tolist() == [1, 1]
    assert graphed(torch.ones(2)).tolist() == [2, 2]
    assert count.tolist() == [2, 2]


@pytest.mark.parametrize(
    "waits", [lambda x: x.sum().item(), lambda x: x[x > 0], lambda x: x.nonzero(), lambda x: x + torch.tensor([1.0, 2])]
)
def test_what_makes_the_host_wait_raises(waits):
    graph = RecordedGraph(torch.device("cpu"))
    with pytest.raises(RuntimeError, match="makes the host wait"):
        graph.rehearse(lambda: waits(torch.ones(2)))
    with pytest.raises(RuntimeError, match="makes the host wait"):
        Graphed(waits, warm_ups=0, make_graph=RecordedGraph)(torch.ones(2))


def test_all_are_copied():
    sources = [torch.ones(2), torch.arange(3), torch.tensor(True), torch.full((2, 2), 3.0)]
    targets = [torch.zeros_like(source) for source in sources]
    copy_all([*sources, targets[0]], [*targets, targets[0]])
    assert all(map(torch.equal, sources, targets))


@pytest.mark.gpu
def test_gpu_replays_equal_calls_and_what_was_handed_out_stays():
    def on_gpu(seed):
        given, extra = arguments(seed)
        return {name: value.cuda() for name, value in given.items()}, [extra[0].cuda()]

    graphed = Graphed(mixed)
    found = [graphed(*on_gpu(seed)) for seed in range(5)]
    for seed, one in enumerate(found):
        assert_same(one, mixed(*on_gpu(seed)))


@pytest.mark.gpu
@pytest.mark.parametrize("waits", [lambda x: x.sum().item(), lambda x: x[x > 0], lambda x: x.nonzero()])
def test_gpu_rehearsals_find_what_makes_the_host_wait(waits):
    device = torch.device("cuda", torch.cuda.current_device())
    x = torch.ones(2, device=device)
    with pytest.raises(RuntimeError):
        CudaGraph(device).rehearse(lambda: waits(x))
    waits(x)  # which is allowed again


@pytest.mark.gpu
def test_gpu_a_capture_that_fails_leaves_torch_as_it_was():
    device = torch.device("cuda", torch.cuda.current_device())
    x = torch.ones(2, device=device)
    stream = torch.cuda.current_stream()
    with pytest.raises(RuntimeError):
        Graphed(lambda given: given * given.sum().item(), warm_ups=0)(x)
    assert torch.cuda.current_stream() == stream
    assert Graphed(lambda given: given * 3)(x).tolist() == [3, 3]
