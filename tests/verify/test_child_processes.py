"""A program that is killed leaves no helper process: no server, no worker, also if a worker is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rome.testing.child_processes import forget, kill_at_exit
from rome.verify.faults.server import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.server,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc"),
]

SERVER = """
import time
from rome.testing.servers import own_valkey_server
with own_valkey_server():
    time.sleep(1000)
"""

POOL = """
import multiprocessing, time
from concurrent.futures import ProcessPoolExecutor
from rome.testing.child_processes import exit_with_parent
with ProcessPoolExecutor(2, multiprocessing.get_context("forkserver"), exit_with_parent) as pool:
    list(pool.map(time.sleep, [1000, 1000]))
"""

HISTORY = [*("-m", "rome.verify.histories", "rome+redis://own/x", "--faults", "100"), "--transactions", "1000000"]


def processes(temporary: Path) -> dict[int, str]:
    """Return the command lines of processes that have this folder in their environment or run in it.

    (A Valkey server overwrites its environment with its title.)
    """
    found = {}
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and (
                str(temporary).encode() in (folder / "environ").read_bytes()
                or (folder / "cwd").readlink().is_relative_to(temporary)
            ):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # ended meanwhile, or another user's
            continue
    return found


@pytest.fixture
def temporary(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for pid in processes(tmp_path):
        os.kill(pid, signal.SIGKILL)


def start(temporary: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        # A shell's background jobs ignore SIGINT, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    kill_at_exit(process.pid)
    return process


def test_a_killed_program_leaves_no_server(temporary: Path) -> None:
    program = start(temporary, "-c", SERVER)
    wait_until(lambda: any("valkey-server" in command for command in processes(temporary).values()))
    wait_until(lambda: any("/bin/sh" in command for command in processes(temporary).values()))
    program.kill()
    program.wait()
    forget(program.pid)
    wait_until(lambda: not processes(temporary))


def test_a_killed_program_leaves_no_pool(temporary: Path) -> None:
    program = start(temporary, "-c", POOL)
    wait_until(lambda: sum("forkserver" in command for command in processes(temporary).values()) >= 3)
    program.kill()
    program.wait()
    forget(program.pid)
    wait_until(lambda: not processes(temporary))


def test_a_killed_history_leaves_no_process(temporary: Path) -> None:
    program = start(temporary, *HISTORY, "--processes", "3")

    def workers() -> list[int]:
        return sorted(pid for pid, command in processes(temporary).items() if "forkserver" in command)[1:]

    wait_until(lambda: len(workers()) >= 3)
    assert any("valkey-server" in command for command in processes(temporary).values())
    os.kill(workers()[0], signal.SIGSTOP)
    program.kill()
    program.wait()
    forget(program.pid)
    wait_until(lambda: not processes(temporary))


def test_an_interrupted_history_leaves_no_process(temporary: Path) -> None:
    program = start(temporary, *HISTORY)
    wait_until(lambda: sum("forkserver" in command for command in processes(temporary).values()) >= 3)
    program.send_signal(signal.SIGINT)
    program.wait()
    forget(program.pid)
    wait_until(lambda: not processes(temporary))
