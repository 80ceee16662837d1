"""SQLAlchemy's dialect suite, under SQLAlchemy's pytest plugin.

The plugin takes over how tests are collected and run, so the suite has a configuration of its own (`setup.cfg` beside
this file, which loads the plugin) and runs by itself: `scripts/dialect-suite`, or `pytest tests/dialect`. In a run of
all of ROME's tests this folder stays out.
"""

from pathlib import Path

import pytest
from sqlalchemy.dialects import registry

HERE = Path(__file__).parent

for store in ("memory", "redis", "rediss", "unix"):
    registry.register(f"rome.{store}", "rome.dialect", "RomeDialect")
registry.register("rome", "rome.dialect", "RomeDialect")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if config.rootpath != HERE else None
