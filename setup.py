"""Packages are found in two folders, which setup.cfg can't say. Everything else stands there."""

from setuptools import find_packages, setup

setup(
    packages=find_packages(include=["rome", "rome.*"]) + find_packages("adapters"),
    package_dir={
        "rome": "rome",
        "rome_discovery": "adapters/rome_discovery",
        "rome_objects": "adapters/rome_objects",
    },
)
