"""Where packages come from; everything else about the distribution is in pyproject.toml.

The folders agents/, batchsim/ and scenes/ stand side by side in the checkout. They are installed as batchsim.agents,
batchsim and batchsim.scenes, because other distributions install top-level packages called agents and scenes.
"""

from setuptools import find_packages, setup

FOLDERS = {"batchsim": "batchsim", "batchsim.agents": "agents", "batchsim.scenes": "scenes"}

setup(
    package_dir=FOLDERS,
    packages=[
        *FOLDERS,
        *(f"{package}.{name}" for package, folder in FOLDERS.items() for name in find_packages(folder)),
    ],
)
