"""The compiled evaluator: SELECTs as Python functions over fetched rows. `compile` says how."""

from rome.compiled.compile import Compiled, NotCompiled, compile_select
from rome.compiled.refusal import UnsupportedValue

__all__ = ["Compiled", "NotCompiled", "UnsupportedValue", "compile_select"]
