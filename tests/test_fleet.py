"""The fleet is upgraded under load, with kills, with and without a conductor: the transcript is the same."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("oslo_versionedobjects")

from oslo_versionedobjects.base import VersionedObjectRegistry

from examples.fleet.openapi import DOCUMENT
from rome_objects.testing import registered_for_now

ROOT = Path(__file__).parents[1]

TRANSCRIPT = """\
v1 runs: 0 errors
rome-schema expand: 0 errors
conductor → v2, sends Instance:1.0: 0 errors
SIGKILL conductor: 0 errors
scheduler, compute-1, compute-2, compute-3 → v2, sends Instance:1.0: 0 errors
SIGKILL compute-1: 0 errors
api → v2, sends Instance:1.0: 0 errors
scheduler, api → v2: 0 errors
rome-schema migrate: 0 errors
rome-schema contract: 0 errors
v2 runs: 0 errors
18 instances, all active, each built once, on compute-1, compute-2, compute-3
"""


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("arguments", [["--store", "redis"], ["--store", "file", "--direct"]])
def test_an_upgrade_under_load(arguments):
    command = [sys.executable, "-m", "examples.fleet", "--short", "--count", "1", "--broker", "valkey", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    transcript, _, figures = done.stdout.partition("\n\n")
    assert f"{transcript}\n" == TRANSCRIPT, done.stdout + done.stderr
    assert done.returncode == 0
    assert " requests, 0 errors\n" in figures
    assert "Instance 1.0" in figures  # both versions were on the wire
    assert "Instance 1.1" in figures
    assert "migration of events→actions: done" in figures


@pytest.fixture(scope="module")
def fleet():
    """The modules of the second release, whose objects are the only ones in the registry."""
    with registered_for_now():
        VersionedObjectRegistry.obj_classes().clear()
        yield SimpleNamespace(
            api=import_module("examples.fleet.api"), objects=import_module("examples.fleet.v2.objects")
        )


class Routes(SimpleNamespace):
    """An Api that does nothing."""

    def __getattr__(self, name):
        return lambda *arguments: {}


@pytest.mark.parametrize(
    ("path", "method"),
    [
        (path, method)
        for path, item in DOCUMENT["paths"].items()
        for method in item
        if method in ("get", "post", "put", "delete")
    ],
)
def test_the_document_describes_what_is_served(fleet, path, method):
    request = SimpleNamespace(
        server=SimpleNamespace(api=Routes()),
        path=path.replace("{id}", "7"),
        command=method.upper(),
        headers={},
        _body=dict,
    )
    status, _ = fleet.api.Handler._route(request)
    assert str(status) in DOCUMENT["paths"][path][method]["responses"]


def test_an_instance_in_the_form_of_the_first_release(fleet):
    kind = fleet.objects.Instance
    primitive = kind({}, uuid="7", display_name="web", cores=2, memory=4).obj_to_primitive("1.0")
    assert primitive["versioned_object.data"] == {"uuid": "7", "title": "web", "size": "2x4"}
    primitive["versioned_object.changes"] = ["size", "title"]
    back = kind.obj_from_primitive(primitive, {})
    assert (back.display_name, back.cores, back.memory) == ("web", 2, 4)
    assert back.obj_what_changed() == {"display_name", "cores", "memory"}
