"""Hooks of `mkdocs build`: prepares the installed layout that the API reference is read from."""

from __future__ import annotations

import subprocess
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig

_ROOT = Path(__file__).resolve().parents[1]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Build the tree in which `batchsim.agents` and `batchsim.scenes` are folders of `batchsim`."""
    subprocess.run([_ROOT / "tools" / "installed_layout.sh"], check=True)
    return config
