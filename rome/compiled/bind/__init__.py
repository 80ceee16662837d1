"""From the parser's tree to the evaluator's own representation: names are bound, types are inferred.

Raises UnsupportedConstruct for everything that the compiled evaluator does not take.
"""
