"""Run the conformance suite on the store of a URL: `python -m rome.testing.store_suite rome+file:///tmp/trial.rome`.

The tests use databases whose names begin with that of the URL, and remove them.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import pytest

from rome.errors import InterfaceError
from rome.testing.store_suite import of_url
from rome.url import parse_url


class _Counts:
    """A plugin of pytest that counts outcomes."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test once, or each of its failures."""
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.outcome] += 1


@click.command()
@click.argument("url")
def main(url: str) -> None:
    """Print how many tests of the suite pass on the store of URL."""
    try:
        parsed = parse_url(url)
    except InterfaceError as error:
        raise click.ClickException(str(error)) from error
    os.environ[of_url.VARIABLE] = url
    of_url.TestStoreOfURL.shared = parsed.store != "memory"
    counts = _Counts()
    with TemporaryDirectory() as folder:
        options = ["-q", "-W", "ignore", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", folder]
        status = pytest.main([*options, str(Path(of_url.__file__))], plugins=[counts])
    passed, skipped = counts.outcomes["passed"], counts.outcomes["skipped"]
    click.echo(f"{passed} of {sum(counts.outcomes.values())} tests pass, {skipped} do not apply: {parsed}")
    sys.exit(status)


if __name__ == "__main__":
    main()
