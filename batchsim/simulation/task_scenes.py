"""Adapts a task to the scenes it is done in."""

from __future__ import annotations

from batchsim.streaming.initial_scenes import InitialScenes
from batchsim.tasks import Task
from batchsim.world.resident_scenes import ResidentScenes


def task_for_scenes(task: Task, scenes: ResidentScenes, initial: InitialScenes | None) -> Task:
    """Returns `task` for the resident `scenes` and those that `initial` can still load.

    Raises:
        OptionError: If the task cannot be done in any of them.
    """
    if not task.uses_objects:
        return task
    objects = scenes.objects
    here = {name for own in scenes.scenes for name in own.objects.categories}

    def has(name: str) -> bool:
        if name in here:
            return True
        others = initial.sources if initial is not None and initial.has_more else ()
        # What a file holds is unknown until it is loaded.
        return any(source.categories is None or name in source.categories for source in others)

    return task.for_scenes(objects.categories, has)
