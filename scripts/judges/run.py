"""Run one suite of a service in the service's virtual environment, and write the results to a file.

scripts/judge calls this. Without a URL the tests run unchanged, on SQLite.
"""

from __future__ import annotations

import argparse
import json
import os
import pkgutil
import re
import sys
import time
import traceback
import unittest
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from services import SERVICES

VALKEY = "valkey"
"""The value of --url for a temporary Valkey server."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("service", choices=SERVICES)
    parser.add_argument("suite")
    parser.add_argument("--url")
    parser.add_argument("--match", default="", help="run only tests whose name matches this regular expression")
    parser.add_argument("--discovery", action="store_true", help="use the service's discovery module")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    sys.argv = sys.argv[:1]  # services read the command line when they are imported
    console = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # send what services log to standard output to standard error
    out = options.out.absolute()
    if SERVICES[options.service].first:
        import_module(SERVICES[options.service].first)
    with ExitStack() as stack:
        after_each = _redirect(options.service, options.url, stack, options.discovery) if options.url else None
        suite = unittest.TestSuite(test for test in _load(options.suite) if re.search(options.match, test.id()))
        outcomes = _run(suite, after_each, console)
    out.write_text(json.dumps(outcomes))
    os._exit(0)  # some services leave threads that would keep the process alive


def _redirect(service: str, url: str, stack: ExitStack, discovery: bool) -> Callable[[], None] | None:
    """Redirect the tests to this store; return a function to call after each test, or None."""
    from databases import Databases
    from redirect import discover, redirect

    if url == VALKEY:
        from rome.testing.servers import valkey_server

        url = stack.enter_context(valkey_server()).url("")
        url += f"?{SERVICES[service].options}" if SERVICES[service].options else ""
    databases = Databases(url)
    stack.callback(databases.drop_all)
    redirect(service, databases)
    if discovery:
        discover(SERVICES[service].discovery, databases)
    return None if SERVICES[service].keep else databases.drop_used


def _load(name: str) -> list[unittest.TestCase]:
    """Return the tests of a module, or of all modules of a package, each in all its scenarios."""
    import testscenarios

    loader = unittest.TestLoader()
    found = [test for module in _modules(name) for test in _flat(loader.loadTestsFromName(module))]
    if loader.errors:
        sys.exit("\n".join(loader.errors))
    return [each for test in found for each in testscenarios.generate_scenarios(test)]


def _modules(name: str) -> Iterator[str]:
    module = import_module(name)
    if not hasattr(module, "__path__"):
        yield name
        return
    for found in pkgutil.walk_packages(module.__path__, f"{name}."):
        if not found.ispkg and found.name.rpartition(".")[2].startswith("test_"):
            yield found.name


def _flat(tests: Any) -> Iterator[unittest.TestCase]:
    for test in tests:
        if isinstance(test, unittest.TestCase):
            yield test
        else:
            yield from _flat(test)


class _Outcomes(unittest.TestResult):
    """Collect (test, result, seconds, traceback) of each test."""

    def __init__(self, after_each: Callable[[], None] | None, console: IO[str]) -> None:
        super().__init__()
        self.rows: list[tuple[str, str, float, str]] = []
        self._after_each = after_each
        self._console = console
        self._began = 0.0
        self._end = ("passed", "")

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._began, self._end = time.perf_counter(), ("passed", "")

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self.rows.append((test.id(), self._end[0], time.perf_counter() - self._began, self._end[1]))
        if self._end[0] == "failed":
            print("FAILED", test.id(), file=self._console, flush=True)
        if self._after_each is not None:
            self._after_each()

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        if self._end[0] == "passed":
            self._end = ("skipped", str(reason))

    def addFailure(self, test: unittest.TestCase, err: Any, details: Any = None) -> None:
        self._end = ("failed", "".join(traceback.format_exception(*err)))

    addError = addFailure

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self.addFailure(test, err)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self._end = ("failed", "unexpected success")


def _run(
    suite: unittest.TestSuite, after_each: Callable[[], None] | None, console: IO[str]
) -> list[tuple[str, str, float, str]]:
    """Return the outcomes. The suite forgets each test that has run, and so the sessions that tests leave open."""
    outcomes = _Outcomes(after_each, console)
    suite.run(outcomes)
    return outcomes.rows


if __name__ == "__main__":
    main()
