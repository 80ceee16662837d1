"""Run glance-manage of Glance 19, which adds commands twice. argparse raises an error for that since Python 3.11."""

import argparse
import sys
from typing import Any

_add_parser = argparse._SubParsersAction.add_parser


def _add_parser_again(action: Any, name: str, **options: Any) -> argparse.ArgumentParser:
    action._name_parser_map.pop(name, None)
    return _add_parser(action, name, **options)


argparse._SubParsersAction.add_parser = _add_parser_again  # type: ignore[method-assign]

from glance.cmd.manage import main  # noqa: E402

sys.exit(main())
