"""The error of importing `rome.orm` on SQLAlchemy 1.4."""

import subprocess
import sys


def test_on_sqlalchemy_14_the_error_names_the_version_and_what_to_do():
    program = "import sqlalchemy; sqlalchemy.__version__ = '1.4.54'; import rome.orm"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    *_, message = ended.stderr.strip().splitlines()
    assert message.startswith("ImportError: rome.orm needs SQLAlchemy 2.0 or newer, and this is 1.4.54: pip install ")
    assert "create_engine" in message
