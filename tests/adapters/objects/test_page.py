"""The examples of docs/objects.rst run, and print what the page says."""

import re
import subprocess
import sys

import pytest

from tests.adapters.objects.page import PAGE
from tests.test_documentation import ROOT, examples


@pytest.mark.slow
def test_examples():
    command = [sys.executable, "-W", "ignore", "-m", "tests.adapters.objects.page"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    said = re.findall(r"^print\(.*\)\s+# (.*)$", "\n".join(examples(PAGE)), re.MULTILINE)
    assert ended.stdout.splitlines() == said
    assert len(said) == 8
