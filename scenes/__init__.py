"""Supplies scenes: generated homes, imported 3D files and small test worlds, baked and cached.

>>> from batchsim import scenes
>>> scene = scenes.load("one-room")
>>> scene.geodesic_distance([0, 0, 0], [3, 0, 4]).round(1)
np.float32(5.0)

The names below are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchsim.scenes.startup.lazy_names import lazy_names

if TYPE_CHECKING:
    from batchsim.scenes.agent_body import AgentBody
    from batchsim.scenes.baking.bake import bake
    from batchsim.scenes.baking.scene import Scene
    from batchsim.scenes.episodes.episode_set import EpisodeSet
    from batchsim.scenes.episodes.habitat_files import load_episodes, save_episodes
    from batchsim.scenes.episodes.habitat_object_files import (
        link_object_goals,
        load_object_episodes,
        save_object_episodes,
    )
    from batchsim.scenes.episodes.linking import link_goals
    from batchsim.scenes.episodes.sampling import sample_episodes, standard_episodes
    from batchsim.scenes.errors import SceneError
    from batchsim.scenes.labels import LABELS
    from batchsim.scenes.mesh import Material, Mesh
    from batchsim.scenes.sources.bake_many import bake_many
    from batchsim.scenes.sources.library import SceneSet, load, load_all, resolve
    from batchsim.scenes.sources.scene_source import SceneSource

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
    "link_object_goals",
    "load",
    "load_all",
    "load_episodes",
    "load_object_episodes",
    "resolve",
    "sample_episodes",
    "save_episodes",
    "save_object_episodes",
    "standard_episodes",
]

_MODULES = {
    "AgentBody": "batchsim.scenes.agent_body",
    "bake": "batchsim.scenes.baking.bake",
    "bake_many": "batchsim.scenes.sources.bake_many",
    "EpisodeSet": "batchsim.scenes.episodes.episode_set",
    "LABELS": "batchsim.scenes.labels",
    "link_goals": "batchsim.scenes.episodes.linking",
    "link_object_goals": "batchsim.scenes.episodes.habitat_object_files",
    "load": "batchsim.scenes.sources.library",
    "load_all": "batchsim.scenes.sources.library",
    "load_episodes": "batchsim.scenes.episodes.habitat_files",
    "load_object_episodes": "batchsim.scenes.episodes.habitat_object_files",
    "Material": "batchsim.scenes.mesh",
    "Mesh": "batchsim.scenes.mesh",
    "resolve": "batchsim.scenes.sources.library",
    "sample_episodes": "batchsim.scenes.episodes.sampling",
    "save_episodes": "batchsim.scenes.episodes.habitat_files",
    "save_object_episodes": "batchsim.scenes.episodes.habitat_object_files",
    "Scene": "batchsim.scenes.baking.scene",
    "SceneError": "batchsim.scenes.errors",
    "SceneSet": "batchsim.scenes.sources.library",
    "SceneSource": "batchsim.scenes.sources.scene_source",
    "standard_episodes": "batchsim.scenes.episodes.sampling",
}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
