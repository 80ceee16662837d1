"""From the parser's tree to the evaluator's own representation: names are bound, types are inferred.

Raises Refused for everything that the compiled evaluator does not take.
"""
