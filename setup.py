"""Packages are found in two folders, which setup.cfg can't say. Everything else is there."""

from pathlib import Path
from typing import Any

from setuptools import find_packages, setup
from setuptools.command import editable_wheel

ROOT = Path(__file__).parent


class EditableWheel(editable_wheel.editable_wheel):
    """`pip install -e .`, as two entries of `sys.path`.

    By default setuptools adds an import hook instead, which Python asks last. In the parent folder of a checkout that
    is named `rome`, Python would find that folder first, and take it for a namespace package without content.
    """

    def _select_strategy(self, name: str, tag: str, build_lib: Any) -> Any:
        static = getattr(editable_wheel, "_StaticPth", None)  # not public; without it, setuptools' default works, too
        if static is None:
            return super()._select_strategy(name, tag, build_lib)
        return static(self.distribution, name, [ROOT, ROOT / "adapters"])


setup(
    cmdclass={"editable_wheel": EditableWheel},
    packages=find_packages(include=["rome", "rome.*"]) + find_packages("adapters"),
    package_dir={
        "rome": "rome",
        "rome_discovery": "adapters/rome_discovery",
        "rome_objects": "adapters/rome_objects",
    },
)
