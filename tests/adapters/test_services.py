"""The discovery modules with their real services, if these are installed (not in ROME's own environments)."""

import importlib.util
import subprocess
import sys

import pytest

from tests.adapters.services import MODULES


@pytest.mark.parametrize("store", ["memory", pytest.param("redis", marks=pytest.mark.server)])
@pytest.mark.parametrize("service", MODULES)
def test_a_service(service, store, request):
    if not importlib.util.find_spec(service):
        pytest.skip(f"{service} is not installed")
    url = "rome+memory:///service" if store == "memory" else request.getfixturevalue("redis_server").url(service)
    command = [sys.executable, "-m", "tests.adapters.services", service, url]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=900)
    assert ran.returncode == 0, ran.stdout + ran.stderr
