"""Supplies scenes: generated homes, imported 3D files, small known worlds; baked, cached, and listed by name.

>>> import scenes
>>> scene = scenes.load("one-room")
>>> scene.geodesic_distance([0, 0, 0], [3, 0, 4]).round(1)
np.float32(5.0)
"""

from scenes.agent_body import AgentBody
from scenes.baking.bake import bake
from scenes.baking.scene import Scene
from scenes.episodes import EpisodeSet, sample_episodes, standard_episodes
from scenes.errors import SceneError
from scenes.habitat_files import link_goals, load_episodes, save_episodes
from scenes.labels import LABELS
from scenes.mesh import Material, Mesh
from scenes.sources.bake_many import bake_many
from scenes.sources.library import SceneSet, load, load_all, resolve
from scenes.sources.scene_source import SceneSource

__all__ = [
    "LABELS",
    "AgentBody",
    "EpisodeSet",
    "Material",
    "Mesh",
    "Scene",
    "SceneError",
    "SceneSet",
    "SceneSource",
    "bake",
    "bake_many",
    "link_goals",
    "load",
    "load_all",
    "load_episodes",
    "resolve",
    "sample_episodes",
    "save_episodes",
    "standard_episodes",
]
