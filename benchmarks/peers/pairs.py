"""What is compared with what: for each pair the two sides' workers, and what of the two is not the same."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a worker, run by the Python of a virtual environment ("" is batchsim's own).

    `copies`: processes that do the same at the same time, their frames counted together. `environment`: variables.
    """

    name: str
    python: str
    arguments: tuple[str, ...]
    copies: int = 1
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """`ours` against `theirs`. `target`: the ratio to reach, where there is one. `cuda`: whether a GPU is needed."""

    name: str
    ours: Side
    theirs: Side
    differs: str
    target: float | None = None
    cuda: bool = False


# Miniworld's camera and steps: 60 degrees, 1.5 m high, 15 cm forward, 15 degrees a turn.
_LIKE_MINIWORLD = ("hfov=60.0", "camera_height=1.5", "forward_step=0.15", "turn_angle=15.0")
_ALONE = {"LP_NUM_THREADS": "0"}  # llvmpipe draws on the process's own thread: best where each core has a process


def _ours(world: str, width: int, height: int, num_envs: int, *options: str) -> Side:
    arguments = ("batchsim_steps.py", world, str(num_envs), str(width), str(height), *options)
    return Side(f"batchsim, N = {num_envs}", "", arguments)


def _miniworld(world: str, *options: str) -> tuple[str, tuple[str, ...]]:
    return "miniworld", ("miniworld_steps.py", f"MiniWorld-{world}-v0", "64", *options)


_SAME_ROOMS = (
    "Miniworld draws four samples a pixel where batchsim draws one, and a red box; batchsim filters its textures, "
    "works out the walking distance to a goal in every step, and begins episodes anywhere."
)


def step_pairs(cores: int) -> list[Pair]:
    """Environments under random actions."""
    pairs = []
    for world, theirs, target, limit in (("four-rooms", "FourRooms", 5.0, 250), ("maze", "Maze", 8.0, 1536)):
        ours = _ours(world, 64, 64, 1024, *_LIKE_MINIWORLD, f"max_episode_steps={limit}")
        python, arguments = _miniworld(theirs)
        pairs.append(Pair(f"{world}, rgb 64×64", ours, Side("Miniworld", python, arguments), _SAME_ROOMS, target))
        many = Side(f"Miniworld, {cores} tuned processes", python, arguments, cores, _ALONE)
        pairs.append(Pair(f"{world}, rgb 64×64", ours, many, _SAME_ROOMS + _TUNED))
        if world == "four-rooms":
            plain = Side("Miniworld, one sample a pixel", *_miniworld(theirs, "without-antialiasing"))
            pairs.append(Pair(f"{world}, rgb 64×64", ours, plain, _SAME_ROOMS + " Here it draws one."))
    doom = ("vizdoom_steps.py", "my_way_home")
    for copies in (1, cores):
        name = "VizDoom" if copies == 1 else f"VizDoom, {copies} processes"
        side = Side(name, "vizdoom", doom, copies)
        pairs.append(Pair("a maze of rooms, rgb 160×120", _ours("maze", 160, 120, 256), side, _DOOM))
    return pairs


_TUNED = (
    " One process a core, each drawing without threads of its own, side by side: its best, with the images in as "
    "many processes rather than in one learner's."
)
_DOOM = (
    "Not the same scene: VizDoom has a game of 1993 to draw (my_way_home; walls upright, floors level, no perspective "
    "correction or filtering beyond its columns and spans), batchsim triangles in any pose."
)
_WARP = (
    "MuJoCo Warp casts rays at 17 boxes, batchsim at the same rooms as 352 triangles; both textured, no shadows, views "
    "from random places. Warp's kernels run on one core of a CPU; here one process a core."
)
_MUJOCO = (
    "MuJoCo draws 17 boxes with one light and no shadows, one image at a time, batchsim the same rooms as 352 "
    "triangles lit from above and from the eye; both textured, one sample a pixel, views from random places."
)


def view_pairs(cores: int) -> list[Pair]:
    """Renderers alone."""

    def ours(views: str, device: str) -> Side:
        return Side(f"batchsim, N = {views}", "", ("batchsim_views.py", "four-rooms", views, "64", device))

    pairs = []
    for copies, environment in ((1, {}), (cores, _ALONE)):
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
    "The same network, frames a rollout, epochs and minibatches; batchsim's agents keep to the three moves that "
    "Miniworld has, so that none ends its episode. Miniworld looks for a red box, batchsim for a goal that this "
    "network cannot see: the cost is compared, not what is learned."
)
_HALVED = " Here batchsim acts and learns in bfloat16, which Stable-Baselines3 has no option for."


def train_pairs(cores: int) -> list[Pair]:
    """Training from end to end."""
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
    """Everything that is compared, on a CPU of `cores` cores."""
    return step_pairs(cores) + view_pairs(cores) + train_pairs(cores)
