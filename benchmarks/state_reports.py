"""Services that report through conductors: no report may be lost, and none may count twice.

python -m benchmarks.state_reports rome+redis://localhost:6379/reports --broker rabbit://guest:guest@localhost/

Threads of this process stand for services: each reports at its interval, by RPC. After the given time, each service
must have one row, whose `report_count` is the number of its reports, and each must have been up by the rule all the
time. `--kill` kills a worker of a conductor half-way; reports without an answer are repeated. The database of the URL
is dropped first.
"""

import argparse
import contextlib
import heapq
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import oslo_messaging
import sqlalchemy as sa
from oslo_config import cfg

import rome
from benchmarks import state_report_objects as services
from rome_objects import process
from rome_objects.messages import broker
from rome_objects.options import GROUP, register_opts
from rome_objects.services.reporter import Reporter

TOPIC = "benchmark-state-reports"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--broker", default="rabbit://guest:guest@127.0.0.1:5672/")
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--conductors", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--interval", type=float, default=10)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--kill", action="store_true", help="kill a conductor's worker half-way")
    options = parser.parse_args()
    rome.drop_database(options.url)
    engine = sa.create_engine(options.url)
    services.Base.metadata.create_all(engine)
    broker.register()
    configure(options)
    with conductors(options) as programs:
        reporters = [
            Reporter(services.Service, {}, host=f"node-{number}", binary="compute", topic="compute", release="v1")
            for number in range(options.services)
        ]
        run_all(options, lambda reporter: reporter.register(), reporters)
        print(f"{options.services} services are registered", flush=True)
        outcomes, took = report(options, reporters, programs)
    return check(engine, reporters, outcomes, took, options)


def configure(options):
    conf = cfg.CONF
    register_opts(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    oslo_messaging.get_rpc_transport(conf, options.broker)
    conf.set_override("transport_url", options.broker)
    for name, value in {"direct": False, "topic": TOPIC, "call_attempts": 5}.items():
        conf.set_override(name, value, GROUP)
    process.set_up(conf)


@contextlib.contextmanager
def conductors(options):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "conductor.conf"
        file.write_text(
            f"[DEFAULT]\ntransport_url = {options.broker}\nexecutor_thread_pool_size = 8\n[database]\n"
            f"connection = {options.url}\n[objects]\nmodules = {services.__name__}\ntopic = {TOPIC}\n"
        )
        command = [sys.executable, "-W", "ignore", "-m", "rome_objects.conductor", "--config-file", str(file)]
        programs = [subprocess.Popen(command) for _ in range(options.conductors)]
        try:
            yield programs
        finally:
            for program in programs:
                program.send_signal(signal.SIGTERM)
            for program in programs:
                program.wait(60)


def run_all(options, act, items):
    """Call a function for each item, in threads."""
    left = iter(list(items))
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                item = next(left, None)
            if item is None:
                return
            act(item)

    threads = [threading.Thread(target=work) for _ in range(options.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def report(options, reporters, programs):
    """Let all services report at their interval. Return the outcomes, and the seconds of each report."""
    begin = time.monotonic()
    queue = [(begin + options.interval * at / len(reporters), at) for at in range(len(reporters))]
    lock, outcomes, took = threading.Lock(), Counter(), []

    def work():
        while True:
            with lock:
                due, at = heapq.heappop(queue)
            time.sleep(max(0.0, due - time.monotonic()))
            if time.monotonic() - begin >= options.seconds:
                return
            started = time.monotonic()
            written = reporters[at].report()
            ended = time.monotonic()
            with lock:
                outcomes["written" if written else "failed"] += 1
                outcomes["late"] += ended - due > options.interval
                took.append(ended - started)
                heapq.heappush(queue, (due + options.interval, at))

    threads = [threading.Thread(target=work) for _ in range(options.threads)]
    for thread in threads:
        thread.start()
    if options.kill:
        time.sleep(options.seconds / 2)
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        workers = [int(pid) for pid, parent in map(str.split, listed.splitlines()) if int(parent) == programs[0].pid]
        os.kill(workers[0], signal.SIGKILL)
        print(f"killed worker {workers[0]}", flush=True)
    for thread in threads:
        thread.join()
    return outcomes, sorted(took)


def check(engine, reporters, outcomes, took, options):
    with engine.connect() as connection:
        rows = {row.host: row for row in connection.execute(sa.select(services.ServiceModel.__table__))}
    counts = {reporter._identity["host"]: reporter.count for reporter in reporters}
    lost = sum(rows[host].report_count < count for host, count in counts.items() if host in rows)
    twice = sum(rows[host].report_count > count for host, count in counts.items() if host in rows)
    print(
        f"{sum(counts.values())} reports of {len(counts)} services in {options.seconds:.0f} s, "
        f"each every {options.interval:g} s, through {options.conductors} conductors\n"
        f"outcomes: {dict(outcomes)}; rows: {len(rows)}; lost: {lost}; twice: {twice}\n"
        f"a report took {took[len(took) // 2] * 1000:.0f} ms, 99 %: {took[len(took) * 99 // 100] * 1000:.0f} ms"
    )
    return int(bool(lost or twice or outcomes["failed"] or len(rows) != len(counts)))


if __name__ == "__main__":
    sys.exit(main())
