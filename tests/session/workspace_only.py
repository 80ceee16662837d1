"""Changes in the workspace only: what they do is the reference for the ways around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from rome.session import run as run_module


@contextmanager
def workspace_only() -> Iterator[None]:
    """Within, all changes are made in the workspace."""
    with (
        mock.patch.object(run_module, "run_point_dml", return_value=None),
        mock.patch.object(run_module, "run_bulk_dml", return_value=None),
    ):
        yield
