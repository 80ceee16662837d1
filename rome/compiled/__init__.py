"""The compiled evaluator: SELECTs as Python functions over the fetched rows.

`compile` is the entry, and explains the way from the syntax tree to the function.
"""
