"""Command line of the ORM fuzzer; `python -m rome.verify.orm --help`."""

from __future__ import annotations

import sys
from functools import partial

from rome.verify.campaign import campaign_parser, run_campaign, store_of
from rome.verify.orm import __doc__ as description
from rome.verify.orm.play import case


def main() -> int:
    """Run the fuzzer; return 1 if it has found a difference."""
    options = campaign_parser("rome.verify.orm", description).parse_args()
    return run_campaign(options, partial(case, store=store_of(options), length=options.length), "operations")


if __name__ == "__main__":
    sys.exit(main())
