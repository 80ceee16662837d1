"""The compiled evaluator: SELECTs as Python functions over fetched rows. `compile` says how."""

from rome.compiled.compile import Compiled, NotCompiled, compile_select

__all__ = ["Compiled", "NotCompiled", "compile_select"]
