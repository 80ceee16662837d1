"""The compiled evaluator: SELECTs as Python functions over fetched rows. `compile` says how."""

from rome.execution.compiled.compile import Compiled, NotCompiled, compile_select
from rome.execution.compiled.refusal import Unfit

__all__ = ["Compiled", "NotCompiled", "Unfit", "compile_select"]
