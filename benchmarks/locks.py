"""Compare ROME's locks with python-redis-lock's on one Redis server: commands, uncontended time, and hand-over.

    python benchmarks/locks.py redis://localhost:6379/0

Hand-over is the time from the start of a release in one thread until the waiting thread has the lock.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

import redis
import redis_lock

import rome
from rome.locks import LockManager


def _uncontended(make, count=500):
    times = []
    for _ in range(count):
        began = time.perf_counter()
        with make():
            pass
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


def _hand_over(make, count=50):
    times = []
    for _ in range(count):
        taken = []

        def wait(taken=taken):
            with make():
                taken.append(time.perf_counter())

        thread = threading.Thread(target=wait)
        lock: AbstractContextManager[object] = make()
        with lock:
            thread.start()
            time.sleep(0.02)
            began = time.perf_counter()
        thread.join()
        times.append(taken[0] - began)
    times.sort()
    return times[len(times) // 2] * 1e3, times[int(len(times) * 0.95)] * 1e3


def main(url: str) -> None:
    parts = urlsplit(url)
    manager = LockManager(f"rome+redis://{parts.netloc}/benchmark-locks?db={parts.path.strip('/') or 0}")
    client = redis.Redis.from_url(url)
    makers = {
        "ROME": lambda: manager.lock("benchmark", ttl=10),
        "python-redis-lock": lambda: redis_lock.Lock(client, "benchmark", expire=10),
        "python-redis-lock, renewal": lambda: redis_lock.Lock(client, "benchmark", expire=10, auto_renewal=True),
    }
    for name, make in makers.items():
        with make():
            pass
        before = client.info("commandstats")
        with make():
            pass
        after = client.info("commandstats")
        calls = {command: after[command]["calls"] - before.get(command, {"calls": 0})["calls"] for command in after}
        sent = {command[8:]: calls[command] for command in calls if calls[command] and command != "cmdstat_info"}
        median, slow = _hand_over(make)
        print(f"{name:28} uncontended {_uncontended(make):6.0f} µs   hand-over {median:5.2f} ms, 95 % {slow:5.2f} ms")
        print(f"{'':28} commands, including those in scripts: {sent}")
    rome.drop_database(str(manager._opened.url))


if __name__ == "__main__":
    main(*sys.argv[1:])
