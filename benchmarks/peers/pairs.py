"""The pairs that are compared: the workers of both sides, and how the two differ."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        name: Name in the table.
        python: Virtual environment that runs the worker; "" for batchsim's own.
        arguments: File name of the worker and its arguments.
        copies: Number of processes that run at the same time; their frames are summed.
        environment: Environment variables.
    """

    name: str
    python: str
    arguments: tuple[str, ...]
    copies: int = 1
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """A comparison of `ours` with `theirs`.

    Attributes:
        name: The work that both do.
        differs: How the two sides differ.
        target: The ratio to reach, if there is one.
        cuda: Whether a GPU is needed.
    """

    name: str
    ours: Side
    theirs: Side
    differs: str
    target: float | None = None
    cuda: bool = False


# Miniworld's camera and steps: 60 degrees, 1.5 m high, 15 cm forward, 15 degrees a turn.
_LIKE_MINIWORLD = ("hfov=60.0", "camera_height=1.5", "forward_step=0.15", "turn_angle=15.0")
_ALONE = {"LP_NUM_THREADS": "0"}  # llvmpipe renders on the calling thread: fastest with one process per core


def _ours(world: str, width: int, height: int, num_envs: int, *options: str) -> Side:
    arguments = ("batchsim_steps.py", world, str(num_envs), str(width), str(height), *options)
    return Side(f"batchsim, N = {num_envs}", "", arguments)


def _miniworld(world: str, *options: str) -> tuple[str, tuple[str, ...]]:
    return "miniworld", ("miniworld_steps.py", f"MiniWorld-{world}-v0", "64", *options)


_SAME_ROOMS = (
    "Miniworld draws four samples per pixel, batchsim one. Miniworld draws a red box. batchsim filters its textures, "
    "computes the walking distance to a goal in every step, and starts episodes anywhere."
)


def step_pairs(cores: int) -> list[Pair]:
    """Return the pairs of environments under random actions."""
    pairs = []
    for world, theirs, target, limit in (("four-rooms", "FourRooms", 5.0, 250), ("maze", "Maze", 8.0, 1536)):
        ours = _ours(world, 64, 64, 1024, *_LIKE_MINIWORLD, f"max_episode_steps={limit}")
        python, arguments = _miniworld(theirs)
        pairs.append(Pair(f"{world}, rgb 64×64", ours, Side("Miniworld", python, arguments), _SAME_ROOMS, target))
        many = Side(f"Miniworld, {cores} tuned processes", python, arguments, cores, _ALONE)
        pairs.append(Pair(f"{world}, rgb 64×64", ours, many, _SAME_ROOMS + _TUNED))
        if world == "four-rooms":
            plain = Side("Miniworld, one sample per pixel", *_miniworld(theirs, "without-antialiasing"))
            pairs.append(
                Pair(f"{world}, rgb 64×64", ours, plain, _SAME_ROOMS + " Here Miniworld draws one sample as well.")
            )
    doom = ("vizdoom_steps.py", "my_way_home")
    for copies in (1, cores):
        name = "VizDoom" if copies == 1 else f"VizDoom, {copies} processes"
        side = Side(name, "vizdoom", doom, copies)
        pairs.append(Pair("a maze of rooms, rgb 160×120", _ours("maze", 160, 120, 256), side, _DOOM))
    return pairs


_TUNED = (
    " One process per core, each rendering on one thread: its fastest setting. The images are spread over as many "
    "processes instead of being in the learner's."
)
_DOOM = (
    "Different scenes: VizDoom draws a game of 1993 (my_way_home: vertical walls, horizontal floors, no texture "
    "filtering), batchsim draws arbitrary triangles."
)
_WARP = (
    "MuJoCo Warp casts rays at 17 boxes, batchsim at the same rooms as 352 triangles. Both draw textures and no "
    "shadows, from random viewpoints. Warp uses one CPU core; here one process runs per core."
)
_MUJOCO = (
    "MuJoCo draws 17 boxes with one light and no shadows, one image at a time. batchsim draws the same rooms as 352 "
    "triangles, lit from above and from the camera. Both draw textures, one sample per pixel, random viewpoints."
)


def view_pairs(cores: int) -> list[Pair]:
    """Return the pairs of renderers."""

    def ours(views: str, device: str) -> Side:
        return Side(f"batchsim, N = {views}", "", ("batchsim_views.py", "four-rooms", views, "64", device))

    pairs = []
    single: dict[str, str] = {}
    for copies, environment in ((1, single), (cores, _ALONE)):
        name = "MuJoCo" if copies == 1 else f"MuJoCo, {copies} tuned processes"
        theirs = Side(name, "mujoco-warp", ("mujoco_views.py", "64"), copies, environment)
        differs = _MUJOCO + ("" if copies == 1 else _TUNED)
        pairs.append(Pair("views of four rooms, rgb 64×64, CPU", ours("256", "cpu"), theirs, differs))
    for device, worlds, copies in (("cpu", "256", cores), ("cuda:0", "4096", 1)):
        theirs = Side("MuJoCo Warp", "mujoco-warp", ("warp_views.py", worlds, "64", device), copies)
        on = "CPU" if device == "cpu" else "GPU"
        name = f"views of four rooms, rgb 64×64, {on}"
        pairs.append(Pair(name, ours(worlds, device), theirs, _WARP, cuda=device != "cpu"))
    return pairs


_ROLLOUT, _EPOCHS, _MINIBATCHES = "4096", "2", "4"
_TRAINING = (
    "Same network, frames per rollout, epochs and minibatches. batchsim's agents use only the three moves that "
    "Miniworld has, so that none ends its episode. Miniworld searches for a red box, batchsim for a goal that this "
    "network cannot observe: the comparison is of cost, not of what is learned."
)
_HALVED = " Here batchsim computes in bfloat16, which Stable-Baselines3 has no option for."


def train_pairs(cores: int) -> list[Pair]:
    """Return the pairs of training end to end."""
    shared = (_ROLLOUT, _EPOCHS, _MINIBATCHES)

    def ours(network: str, precision: str) -> Side:
        options = ("256", *shared, *_LIKE_MINIWORLD, "max_episode_steps=250")
        name = "batchsim" if precision == "float32" else f"batchsim in {precision}"
        return Side(name, "", ("batchsim_train.py", network, precision, *options))

    def theirs(network: str, kind: str) -> Side:
        words, environment = (", tuned processes", _ALONE) if kind == "subproc" else ("", {})
        arguments = ("miniworld_train.py", network, "8", kind, *shared)
        return Side(f"Miniworld and Stable-Baselines3{words}", "miniworld", arguments, 1, environment)

    pairs = []
    for network in ("patches", "nature"):
        name = f"training, four rooms, network {network}"
        pairs.append(Pair(name, ours(network, "float32"), theirs(network, "dummy"), _TRAINING, 5.0))
        pairs.append(Pair(name, ours(network, "float32"), theirs(network, "subproc"), _TRAINING))
        pairs.append(Pair(name, ours(network, "bfloat16"), theirs(network, "dummy"), _TRAINING + _HALVED))
    return pairs


def all_pairs(cores: int) -> list[Pair]:
    """Return all pairs for a CPU with `cores` cores."""
    return step_pairs(cores) + view_pairs(cores) + train_pairs(cores)
