"""Where the checkout is, and the real meshes that some tests read where they are present."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED_SCENES = ROOT.parent / "shared/scenes"
