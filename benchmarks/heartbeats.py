"""Nova's services report their state on ROME: `python benchmarks/heartbeats.py rome+redis://localhost:6379/heartbeats`.

So many services, in so many processes, each report every so many seconds through `rome_discovery.nova.api`, as
nova-compute does. Each service is created by two processes at the same time. Meanwhile an operator disables and enables
services, which are other updates of the rows that reports write, and some services stop half-way. At the end:

* every service has one row, and its `report_count` is the number of reports that were confirmed to it;
* Nova's own rule (`nova.servicegroup`) has said of each service that it is up for as long as it reported, and that it
  is down once it had not for `service_down_time`.

Needs Nova (`pip install nova`) beside ROME. The database of the URL is dropped first.
"""

import argparse
import heapq
import multiprocessing
import random
import statistics
import sys
import time
from dataclasses import dataclass, field

import rome


@dataclass
class Work:
    """What one process does, and then what it did. Moments are those of `time.time()`."""

    number: int
    begin: float
    hosts: list[str]
    rivals: list[str]
    """Hosts of another process, whose services this one tries to create too."""
    stops: dict[str, float]
    reports: dict[str, int] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    late: float = 0.0
    refused: int = 0


def nova_api(options):
    """Nova's database API on ROME, configured."""
    import nova.conf

    import rome_discovery.nova.api

    nova.conf.CONF([], default_config_files=[], default_config_dirs=[])
    nova.conf.CONF.set_override("connection", options.url, "discovery")
    nova.conf.CONF.set_override("service_down_time", options.down_time)
    return rome_discovery.nova.api


def admin():
    from nova import context

    return context.get_admin_context()


def run(options, work, results):
    """One process: make the services, then report until the end."""
    api = nova_api(options)
    api.service_get_all(admin())  # connected and warm, so that rivals meet
    time.sleep(max(0.0, work.begin - options.start_up / 2 - time.time()))
    for mine, rivals in zip(work.hosts, work.rivals, strict=False):
        for host in (mine, rivals):
            create(api, work, host)
    ids = {service.host: service.id for service in api.service_get_all(admin())}
    due = [(work.begin + options.interval * i / len(work.hosts), host) for i, host in enumerate(work.hosts)]
    while due and due[0][0] < work.begin + options.seconds:
        moment, host = heapq.heappop(due)
        if moment < work.stops.get(host, moment + 1):
            time.sleep(max(0.0, moment - time.time()))
            work.late = max(work.late, time.time() - moment)
            report(api, work, host, ids[host])
            heapq.heappush(due, (moment + options.interval, host))
    results.put(work)


def create(api, work, host):
    from nova import exception

    try:
        values = {"host": host, "binary": "nova-compute", "topic": "compute", "report_count": 0}
        api.service_create(admin(), values)
    except exception.ServiceBinaryExists:
        work.refused += 1


def report(api, work, host, service_id):
    """What nova's DbDriver does at each report."""
    count = work.reports.get(host, 0) + 1
    began = time.perf_counter()
    api.service_update(admin(), service_id, {"report_count": count})
    work.took.append(time.perf_counter() - began)
    work.reports[host] = count
    work.last[host] = time.time()


def watch(api, options, begin, stops):
    """Ask Nova's rule about every service, and be the operator. Answers when each was first seen down, and updates."""
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


def judge(options, services, works, stops, down):
    """The complaints; none if all is as it should be."""
    reports = {host: count for work in works for host, count in work.reports.items()}
    last = {host: moment for work in works for host, moment in work.last.items()}
    hosts = [service.host for service in services]
    yield from (f"{host} has {hosts.count(host)} rows" for host in set(hosts) if hosts.count(host) > 1)
    for service in services:
        if service.report_count != reports.get(service.host):
            yield f"{service.host} reported {reports.get(service.host)} times, its row says {service.report_count}"
    if len(set(hosts)) != options.services:
        yield f"there are {len(set(hosts))} services, not {options.services}"
    for host in set(down) - set(stops):
        yield f"{host} reported all the time and was said to be down"
    for host in stops:
        if host not in down:
            yield f"{host} stopped and was not said to be down"
        elif not 0 <= down[host] - last[host] - options.down_time <= 5:
            yield f"{host} was said to be down {down[host] - last[host]:.1f} s after its last report"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between the reports of a service")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--down-time", type=int, default=25, help="Nova's service_down_time")
    parser.add_argument(
        "--start-up", type=float, default=60.0, help="seconds to start, in the second half of them services are made"
    )
    options = parser.parse_args()
    if options.processes % 2:
        parser.error("--processes: an even number, since two and two create the same services")

    rome.drop_database(options.url)
    api = nova_api(options)
    from nova.db.main import models

    models.BASE.metadata.create_all(api.get_engine())
    hosts = [f"node-{number:04}" for number in range(options.services)]
    begin = time.time() + options.start_up
    stops = dict.fromkeys(hosts[:: max(1, options.services // 10)], begin + options.seconds / 2)
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    for number in range(options.processes):
        mine, rivals = (hosts[(number ^ other) :: options.processes] for other in (0, 1))
        work = Work(number, begin, mine, rivals, stops)
        spawn.Process(target=run, args=(options, work, results), daemon=True).start()
    down, updates = watch(api, options, begin, stops)
    works = [results.get(timeout=60) for _ in range(options.processes)]
    services = api.service_get_all(admin())
    complaints = list(judge(options, services, works, stops, down))
    tell(options, services, works, stops, down, updates)
    print(*complaints or ["no report lost, no duplicate row, the is-up rule right"], sep="\n")
    sys.exit(bool(complaints))


def tell(options, services, works, stops, down, updates):
    took = sorted(seconds for work in works for seconds in work.took)
    last = {host: moment for work in works for host, moment in work.last.items()}
    after = [down[host] - last[host] for host in stops if host in down]
    print(f"{len(services)} services in {options.processes} processes, {options.seconds:g} s")
    print(f"creations: {len(services)} rows, {sum(work.refused for work in works)} refused as existing")
    print(f"reports: {len(took)}, {len(took) / options.seconds:.1f} a second; {updates} other updates meanwhile")
    print(
        f"a report took {statistics.median(took) * 1000:.1f} ms (median), {took[len(took) * 99 // 100] * 1000:.1f} ms "
        f"(99 %), {took[-1] * 1000:.0f} ms (longest); the latest began {max(work.late for work in works):.2f} s late"
    )
    if after:
        print(f"{len(after)} stopped; said to be down {min(after):.1f} to {max(after):.1f} s after their last report")


if __name__ == "__main__":
    main()
