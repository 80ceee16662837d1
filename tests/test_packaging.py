"""The entry points and packages of setup.cfg."""

from configparser import ConfigParser
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def entry_points():
    setup = ConfigParser(interpolation=None, delimiters=("=",))
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    for group, lines in setup["options.entry_points"].items():
        for line in lines.strip().splitlines():
            name, _, target = line.partition("=")
            yield pytest.param(target.strip(), id=f"{group}: {name.strip()}")


@pytest.mark.parametrize("target", list(entry_points()))
def test_entry_points_exist(target):
    module, _, name = target.partition(":")
    if not module.startswith("rome"):
        pytest.importorskip(module)
    imported = import_module(module)
    assert not name or callable(getattr(imported, name))


def test_every_folder_is_a_package():
    folders = {path.parent for path in (ROOT / "rome").rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]
