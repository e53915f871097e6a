"""Layout of the packages and the text for a package index; everything else is in pyproject.toml.

The folders agents/, batchsim/ and scenes/ stand side by side in the checkout. They are installed as batchsim.agents,
batchsim and batchsim.scenes, because other distributions install top-level packages called agents and scenes.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

FOLDERS = {"batchsim": "batchsim", "batchsim.agents": "agents", "batchsim.scenes": "scenes"}


def index_readme() -> str:
    """The README without images and links to files of the checkout, which a package index cannot show."""
    text = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    local = r"(?!https?://|#)[^)\s]+"
    text = re.sub(rf"!\[[^\]]*\]\({local}\)\n*(?:\*[^*\n]+\*\n)?", "", text)
    text = re.sub(r"<(?:img|br)\b[^>]*>\n*", "", text)
    return re.sub(rf"\[([^\]]+)\]\({local}\)", r"\1", text)


setup(
    long_description=index_readme(),
    long_description_content_type="text/markdown",
    package_dir=FOLDERS,
    packages=[
        *FOLDERS,
        *(f"{package}.{name}" for package, folder in FOLDERS.items() for name in find_packages(folder)),
    ],
)
