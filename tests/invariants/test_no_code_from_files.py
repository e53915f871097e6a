"""No file that the project reads can run code: hostile pickles in place of each kind, and a scan of the source."""

from __future__ import annotations

import ast
import contextlib
import gzip
import io
import json
import pickle
import shutil
import warnings
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from batchsim import OptionError
from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.candidates import load_run
from batchsim.agents.evaluation.result_files import load_evaluation
from batchsim.agents.runs.checkpoint import find_checkpoint, load_log_state, load_trainer, save_checkpoint
from batchsim.agents.runs.checkpoint_folder import MANIFEST
from batchsim.agents.runs.run_lock import locked
from batchsim.agents.runs.run_log import read_curves
from batchsim.agents.training.build import make_trainer
from batchsim.noise.depth import RedwoodDepth
from batchsim.scenes import Scene, SceneError, load, load_episodes, load_object_episodes
from batchsim.scenes.sources.importer import MESH_SUFFIXES
from tests.agents.evaluation.test_session import SMALL

REFUSED = (SceneError, AgentError, OptionError)


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def _as_torch_file(item: Touch) -> bytes:
    packed = io.BytesIO()
    torch.save(item, packed)
    return packed.getvalue()


def _as_array(item: Touch) -> bytes:
    packed = io.BytesIO()
    np.save(packed, np.array([item], object), allow_pickle=True)
    return packed.getvalue()


PAYLOADS = {
    "text": lambda item: pickle.dumps(item, protocol=0),
    "binary": lambda item: pickle.dumps(item, protocol=5),
    "torch": _as_torch_file,
    "numpy": _as_array,
}


@pytest.fixture(params=PAYLOADS)
def payload(request):
    return PAYLOADS[request.param]


@pytest.fixture
def trace(tmp_path):
    """A file that must not exist after the test."""
    path = tmp_path / "code-was-run"
    yield path
    assert not path.exists()


def test_the_payloads_work(tmp_path):
    """Or else the tests below say nothing."""
    for name, payload in PAYLOADS.items():
        trace = tmp_path / name
        packed = io.BytesIO(payload(Touch(trace)))
        if name == "torch":
            torch.load(packed, weights_only=False)
        elif name == "numpy":
            np.load(packed, allow_pickle=True)
        else:
            pickle.load(packed)
        assert trace.exists(), name


SCENE_KINDS = (
    ".scene",
    *MESH_SUFFIXES,
    ".scene_instance.json",
    ".stage_config.json",
    ".scene_dataset_config.json",
)


@pytest.mark.parametrize("suffix", SCENE_KINDS)
def test_scenes(tmp_path, trace, payload, suffix):
    path = tmp_path / f"hostile{suffix}"
    path.write_bytes(payload(Touch(trace)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # libraries warn of what they cannot read
        with pytest.raises(REFUSED, match="hostile"):
            load(path, num_goals=2)
        if suffix == ".scene":
            with pytest.raises(REFUSED, match="hostile"):
                Scene.load(path)


SQUARE = "v -2 0 2\nv 2 0 2\nv 2 0 -2\nv -2 0 -2\nvt 0 0\nf 1/1 2/1 3/1 4/1\n"


@pytest.mark.parametrize("beside", ["a.mtl", "a.png"])
def test_files_beside_a_scene(tmp_path, trace, payload, beside):
    (tmp_path / "a.obj").write_text("mtllib a.mtl\nusemtl m\n" + SQUARE)
    (tmp_path / "a.mtl").write_text("newmtl m\nmap_Kd a.png\n")
    (tmp_path / beside).write_bytes(payload(Touch(trace)))
    with contextlib.suppress(SceneError):  # a material that cannot be read may be left out, an image not
        load(tmp_path / "a.obj", num_goals=2)


@pytest.mark.parametrize("read", [load_episodes, load_object_episodes])
@pytest.mark.parametrize("packed", [True, False])
def test_episode_files(tmp_path, trace, payload, read, packed):
    path = tmp_path / "hostile.json.gz"
    data = payload(Touch(trace))
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(REFUSED, match="hostile"):
        read(path, tmp_path)


def test_noise_tables(tmp_path, trace, payload):
    path = tmp_path / "hostile.npy"
    path.write_bytes(payload(Touch(trace)))
    with pytest.raises(REFUSED, match="hostile"):
        RedwoodDepth(table=str(path))


@pytest.fixture(scope="module")
def trainer(cache_of_this_session):
    made = make_trainer(SMALL)
    yield made
    made.env.close()


@pytest.fixture(scope="module")
def trained(trainer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.json").write_text(json.dumps(SMALL.to_json()))
    save_checkpoint(folder, trainer)
    return folder


def checkpoint_files():
    return ("policy.json", "policy.safetensors", "optimizer.safetensors", "trainer.json", "environments-0.safetensors")


def put(run: Path, name: str, data: bytes) -> None:
    """Puts `data` in place of a file of the checkpoint, and its checksum into the manifest: parsers must refuse it."""
    folder = next(run.glob(f"checkpoint/*/{MANIFEST}")).parent
    manifest = json.loads((folder / MANIFEST).read_text())
    assert set(manifest) == set(checkpoint_files())
    (folder / name).write_bytes(data)
    manifest[name] = {"bytes": len(data), "blake2b": blake2b(data, digest_size=16).hexdigest()}
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", checkpoint_files())
def test_files_of_a_checkpoint(trained, trainer, tmp_path, trace, payload, name):
    run = shutil.copytree(trained, tmp_path / "run")
    put(run, name, payload(Touch(trace)))
    with pytest.raises(AgentError, match=name):
        load_trainer(find_checkpoint(run), trainer)
    if name.startswith("policy"):
        with pytest.raises(AgentError, match=name):
            load_run(str(run))
    if name == "trainer.json":
        with pytest.raises(AgentError, match=name):
            load_log_state(find_checkpoint(run))


def test_other_files_of_a_run(trained, tmp_path, trace, payload):
    run = shutil.copytree(trained, tmp_path / "run")
    data = payload(Touch(trace))
    (run / "log.jsonl").write_bytes(data)
    assert read_curves(run) == []
    (run / "evaluation.json").write_bytes(data)
    with pytest.raises(AgentError, match=r"evaluation\.json"):
        load_evaluation(run / "evaluation.json")
    next(run.glob(f"checkpoint/*/{MANIFEST}")).write_bytes(data)
    with pytest.raises(AgentError, match=r"manifest\.json"):
        load_run(str(run))
    (run / "config.json").write_bytes(data)
    for read in (lambda: load_run(str(run)), lambda: TrainConfig.load(run / "config.json")):
        with pytest.raises(AgentError, match=r"config\.json"):
            read()


def test_locks(tmp_path, trace, payload):
    with locked(tmp_path):
        (tmp_path / ".lock").write_bytes(payload(Touch(trace)))
        with pytest.raises(AgentError, match="another process"), locked(tmp_path):
            pass


PICKLING = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
# The two ends of the pipe between a program and the baking process that it started. No file is read through it.
PIPE = {"sources/bake_many.py", "sources/bake_worker.py"}
# Modules that import by name, and which names these are.
BY_NAME = {
    "batchsim/__init__.py": "the subpackages",
    "scenes/startup/lazy_names.py": "the public names of packages",
    "batchsim/tasks/registry.py": "the task that a user names, or a run folder's with --trust",
}


def sources():
    for package in ("batchsim", "batchsim.agents", "batchsim.scenes"):
        folder = files(package)
        for path in sorted(Path(str(folder)).rglob("*.py")):
            yield package.rpartition(".")[2], str(path.relative_to(str(folder))), path


def faults(tree: ast.AST) -> set[str]:
    """What in `tree` could run code from a file."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names} & PICKLING
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.module or "").partition(".")[0]} & PICKLING
            found |= {name.name for name in node.names} & {"import_module", "run_path", "run_module"}
        elif isinstance(node, ast.Call):
            called, options = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
            if called in ("eval", "exec", "compile", "__import__", "builtins.eval", "builtins.exec", "torch.load"):
                found.add(called)
            if options.get("allow_pickle", "False") != "False" or options.get("shell", "False") != "False":
                found.add(f"{called} with {options}")
            if called in ("os.system", "os.popen", "yaml.load", "torch.hub.load", "torch.jit.load"):
                found.add(called)
    return found


def test_no_source_unpickles_or_evaluates():
    checked, used = 0, set()
    for package, name, path in sources():
        checked += 1
        found = faults(ast.parse(path.read_text(encoding="utf-8")))
        if package == "scenes" and name in PIPE:
            used.add(name)
            found -= {"pickle"}
        if f"{package}/{name}" in BY_NAME:
            found -= {"import_module"}
        assert not found, (package, name, found)
    assert checked > 200
    assert used == PIPE


def test_the_scan_sees_what_it_looks_for():
    for text in (
        "import pickle", "from pickle import load", "import joblib.hashing", "eval('1')", "exec('1')",
        "torch.load(f)", "np.load(f, allow_pickle=True)", "subprocess.run(c, shell=True)", "import_module",
        "from importlib import import_module", "os.system('ls')", "yaml.load(f)",
    ):  # fmt: skip
        assert bool(faults(ast.parse(text))) == (text != "import_module"), text
