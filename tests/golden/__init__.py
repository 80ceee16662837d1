"""Golden files: what the planner makes of statements, one file a theme, to be read from top to bottom.

`python -m tests.golden --update` writes them anew; the diff is the review.
"""
