"""Named, versioned settings of published benchmarks: body, camera, actions, noise, limits and reward."""

from batchsim.settings.apply import apply_setting, task_of_setting, with_setting
from batchsim.settings.habitat import SETTINGS
from batchsim.settings.setting import Setting, find_setting

__all__ = ["SETTINGS", "Setting", "apply_setting", "find_setting", "task_of_setting", "with_setting"]
