"""Simulate Nova services that report their state: `python benchmarks/heartbeats.py rome+redis://localhost:6379/beats`.

Many services in several processes report periodically through `rome_discovery.nova.api`, as nova-compute does. Two
processes create each service at the same time. Meanwhile an operator disables and enables services, which updates the
rows that the reports write, and half-way some services stop. Then these must hold:

* Every service has one row, and its `report_count` is the number of its acknowledged reports.
* Nova's own check (`nova.servicegroup`) reported each service as up while it reported, and as down when it had not
  reported for `service_down_time`.

Nova has to be installed (`pip install nova`). The database of the URL is dropped first.
"""

import argparse
import heapq
import multiprocessing
import random
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

import rome
from rome.testing.child_processes import exit_with_parent, guarded


@dataclass
class Workload:
    """The workload of one process, and its results. Times are those of `time.time()`."""

    number: int
    begin: float
    hosts: list[str]
    rivals: list[str]
    """Hosts of another process, whose services this process also tries to create."""
    stops: dict[str, float]
    reports: dict[str, int] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    late: float = 0.0
    refused: int = 0


def nova_api(options):
    """Configure and return Nova's database API on ROME."""
    import nova.conf

    import rome_discovery.nova.api

    nova.conf.CONF([], default_config_files=[], default_config_dirs=[])
    nova.conf.CONF.set_override("connection", options.url, "discovery")
    nova.conf.CONF.set_override("service_down_time", options.down_time)
    return rome_discovery.nova.api


def admin():
    from nova import context

    return context.get_admin_context()


def run(options, workload, results):
    """In one process, create the services and report until the end."""
    exit_with_parent()
    api = nova_api(options)
    api.service_get_all(admin())  # connect and warm up, so that the processes create at the same time
    time.sleep(max(0.0, workload.begin - options.start_up / 2 - time.time()))
    for mine, rivals in zip(workload.hosts, workload.rivals, strict=False):
        for host in (mine, rivals):
            create(api, workload, host)
    ids = {service.host: service.id for service in api.service_get_all(admin())}
    due = [(workload.begin + options.interval * i / len(workload.hosts), host) for i, host in enumerate(workload.hosts)]
    while due and due[0][0] < workload.begin + options.seconds:
        moment, host = heapq.heappop(due)
        if moment < workload.stops.get(host, moment + 1):
            time.sleep(max(0.0, moment - time.time()))
            workload.late = max(workload.late, time.time() - moment)
            report(api, workload, host, ids[host])
            heapq.heappush(due, (moment + options.interval, host))
    results.put(workload)


def create(api, workload, host):
    from nova import exception

    try:
        values = {"host": host, "binary": "nova-compute", "topic": "compute", "report_count": 0}
        api.service_create(admin(), values)
    except exception.ServiceBinaryExists:
        workload.refused += 1


def report(api, workload, host, service_id):
    """Report as Nova's DbDriver does."""
    count = workload.reports.get(host, 0) + 1
    began = time.perf_counter()
    api.service_update(admin(), service_id, {"report_count": count})
    workload.took.append(time.perf_counter() - began)
    workload.reports[host] = count
    workload.last[host] = time.time()


def watch(api, options, begin, stops):
    """Check every service with Nova, and act as the operator.

    Return the time at which each service was first seen down, and the number of updates.
    """
    from nova.servicegroup.drivers.db import DbDriver

    driver = DbDriver.__new__(DbDriver)
    driver.service_down_time = options.down_time
    down, updates = {}, 0
    time.sleep(max(0.0, begin + options.interval - time.time()))
    while time.time() < begin + options.seconds:
        services = api.service_get_all(admin())
        for service in services:
            if not driver.is_up(service):
                down.setdefault(service.host, time.time())
        for service in random.sample(services, min(20, len(services))):
            if service.host not in stops:
                api.service_update(admin(), service.id, {"disabled": not service.disabled})
                updates += 1
        time.sleep(1)
    return down, updates


def violations(options, services, workloads, stops, down):
    """Yield a sentence for each violation."""
    reports = {host: count for workload in workloads for host, count in workload.reports.items()}
    last = {host: moment for workload in workloads for host, moment in workload.last.items()}
    hosts = [service.host for service in services]
    yield from (f"{host} has {hosts.count(host)} rows" for host in set(hosts) if hosts.count(host) > 1)
    for service in services:
        if service.report_count != reports.get(service.host):
            sent = reports.get(service.host)
            yield f"{service.host} reported {sent} times; its report_count is {service.report_count}"
    if len(set(hosts)) != options.services:
        yield f"there are {len(set(hosts))} services, not {options.services}"
    for host in set(down) - set(stops):
        yield f"{host} reported all the time and was seen down"
    for host in stops:
        if host not in down:
            yield f"{host} stopped and was not seen down"
        elif not 0 <= down[host] - last[host] - options.down_time <= 5:
            yield f"{host} was seen down {down[host] - last[host]:.1f} s after its last report"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between the reports of a service")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--down-time", type=int, default=25, help="Nova's service_down_time")
    parser.add_argument(
        "--start-up", type=float, default=60.0, help="seconds to start; services are created in the second half"
    )
    options = parser.parse_args()
    if options.processes % 2:
        parser.error("--processes must be even, because pairs of processes create the same services")

    rome.drop_database(options.url)
    api = nova_api(options)
    from nova.db.main import models

    models.BASE.metadata.create_all(api.get_engine())
    hosts = [f"node-{number:04}" for number in range(options.services)]
    begin = time.time() + options.start_up
    stops = dict.fromkeys(hosts[:: max(1, options.services // 10)], begin + options.seconds / 2)
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    with ExitStack() as stack:
        for number in range(options.processes):
            mine, rivals = (hosts[(number ^ other) :: options.processes] for other in (0, 1))
            workload = Workload(number, begin, mine, rivals, stops)
            stack.enter_context(guarded(spawn.Process(target=run, args=(options, workload, results))))
        down, updates = watch(api, options, begin, stops)
        workloads = [results.get(timeout=60) for _ in range(options.processes)]
    services = api.service_get_all(admin())
    found = list(violations(options, services, workloads, stops, down))
    print_summary(options, services, workloads, stops, down, updates)
    print(*found or ["no report lost, no duplicate row, all states correct"], sep="\n")
    sys.exit(bool(found))


def print_summary(options, services, workloads, stops, down, updates):
    took = sorted(seconds for workload in workloads for seconds in workload.took)
    last = {host: moment for workload in workloads for host, moment in workload.last.items()}
    after = [down[host] - last[host] for host in stops if host in down]
    print(f"{len(services)} services in {options.processes} processes, {options.seconds:g} s")
    print(f"creations: {len(services)} rows, {sum(workload.refused for workload in workloads)} already existed")
    print(f"reports: {len(took)}, {len(took) / options.seconds:.1f} per second; {updates} concurrent updates")
    median, percentile, longest = (
        1000 * each for each in (statistics.median(took), took[len(took) * 99 // 100], took[-1])
    )
    print(f"latency of a report: {median:.1f} ms (median), {percentile:.1f} ms (99 %), {longest:.0f} ms (maximum)")
    print(f"the most delayed report began {max(workload.late for workload in workloads):.2f} s late")
    if after:
        print(f"{len(after)} stopped; seen down {min(after):.1f} to {max(after):.1f} s after their last report")


if __name__ == "__main__":
    main()
