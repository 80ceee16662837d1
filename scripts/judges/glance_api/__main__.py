"""Send Glance's API server the same requests on SQLite and on ROME, and kill it meanwhile.

scripts/judge-server runs this in the service's virtual environment.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from glance_api.chapters import CHAPTERS, everything
from glance_api.client import Recorder
from glance_api.crowd import Crowd
from glance_api.server import RELEASES, Server, glance_server

from rome.verify.faults.server import FaultyServer, faulty_server, wait_until

SHOWN = 5
"""The number of differences and errors to print."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", choices=RELEASES)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # also stops the servers
    release = RELEASES[options.release]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        print(f"== glance {version('glance')}, SQLAlchemy {version('sqlalchemy')}", flush=True)
        with glance_server(release, folder / "sqlite", f"sqlite:///{place}/glance.sqlite") as glance:
            expected = _record_all(glance)
        with faulty_server(folder / "store") as store:
            url = f"rome+redis://127.0.0.1:{store.port}/glance"
            with glance_server(release, folder / "rome", url) as glance:
                wrong = _compare(expected, _record_all(glance))
                wrong += _kill_and_compare(glance, store)
                wrong += _run_clients(glance, options.clients, options.seconds)
                wrong += _restart_the_store(glance, store, options.clients, options.seconds)
                wrong += _kill_both(glance, store, options.clients, options.seconds)
                if wrong:
                    print("\nthe server's last errors:", *glance.errors(), sep="\n")
    print("\nno differences" if not wrong else f"\n{wrong} differences")
    return 1 if wrong else 0


def _record_all(glance: Server) -> Recorder:
    api = Recorder(glance.port)
    for chapter in CHAPTERS:
        api.chapter = chapter.__name__
        chapter(api)
    return api


def _compare(expected: Recorder, found: Recorder) -> int:
    """Print a line for each chapter; return the number of responses that differ from SQLite's."""
    print(f"\n{'':12} requests  5xx  different on SQLite")
    pairs = list(zip(expected.comparable(), found.comparable(), strict=False))
    responses = Counter(chapter for chapter, _, _ in found.entries)
    broken = Counter(chapter for chapter, _, answer in found.entries if answer.status >= 500)
    differing = [(before, after) for before, after in pairs if before != after]
    by_chapter = Counter(before[0] for before, _ in differing)
    for chapter, count in responses.items():
        print(f"{chapter:12} {count:8}  {broken[chapter]:3}  {by_chapter[chapter]:20}")
    for before, after in differing[:SHOWN]:
        _show(before[1], SQLite=before[2], ROME=after[2])
    return len(differing) + abs(len(expected.entries) - len(found.entries))


def _show(asked: str, **answers: str) -> None:
    """Print two responses, from shortly before the first difference."""
    same = next((at for at, letters in enumerate(zip(*answers.values(), strict=False)) if len({*letters}) > 1), 0)
    print(f"\n{asked}")
    for label, text in answers.items():
        print(f"{label:>8}: {text[:5]}… {text[max(same - 100, 5) :][:500]}")


def _kill_and_compare(glance: Server, store: FaultyServer) -> int:
    before = Recorder(glance.port)
    everything(before)
    _kill(glance, store)
    _restart(glance, store)
    after = Recorder(glance.port)
    everything(after)
    pairs = zip(before.entries, after.entries, strict=False)
    differing = [(asked, old.text, new.text) for (_, asked, old), (_, _, new) in pairs if old.text != new.text]
    count = len(after.entries)
    print(f"\nSIGKILL of server and store: {count} requests for all data, {len(differing)} responses differ")
    for asked, old, new in differing[:SHOWN]:
        _show(asked, before=old, after=new)
    return len(differing) + abs(len(before.entries) - len(after.entries))


def _run_clients(glance: Server, clients: int, seconds: float) -> int:
    crowd = Crowd(glance.port, clients)
    crowd.run(seconds)
    crowd.check()
    return _report(f"{clients} clients for {seconds:.0f} s", crowd)


def _restart_the_store(glance: Server, store: FaultyServer, clients: int, seconds: float) -> int:
    crowd = Crowd(glance.port, clients)

    def restart() -> None:
        crowd.failing.set()
        store.kill()
        store.start()
        wait_until(glance.answers)
        time.sleep(1)  # by now, requests that had begun before have failed
        crowd.failing.clear()
        time.sleep(seconds / 2)

    crowd.run(seconds / 2, restart)
    crowd.check()
    return _report(f"{clients} clients, SIGKILL of the store meanwhile", crowd)


def _kill_both(glance: Server, store: FaultyServer, clients: int, seconds: float) -> int:
    crowd = Crowd(glance.port, clients)

    def kill() -> None:
        crowd.failing.set()
        crowd.stop.set()
        _kill(glance, store)

    crowd.run(seconds / 2, kill)
    _restart(glance, store)
    crowd.check()
    return _report(f"{clients} clients, SIGKILL of server and store meanwhile", crowd)


def _report(what: str, crowd: Crowd) -> int:
    done = ", ".join(f"{count} {name}" for name, count in sorted(crowd.done.items()))
    unknown = sum(len(possible) > 1 for possible in crowd.images.values())
    print(f"\n{what}: {done}; {unknown} without a response; {len(crowd.wrong)} wrong", flush=True)
    for each in crowd.wrong[:SHOWN]:
        print(f"  {each}")
    return len(crowd.wrong)


def _kill(glance: Server, store: FaultyServer) -> None:
    glance.kill()
    store.kill()


def _restart(glance: Server, store: FaultyServer) -> None:
    store.start()
    glance.start()


if __name__ == "__main__":
    sys.exit(main())
