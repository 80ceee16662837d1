"""A small cloud control plane on SQLAlchemy, and a demonstration that runs it on ROME.

`models` and `operations` are plain SQLAlchemy and run on any of its databases. `story` has the steps of the
demonstration, `meter` counts the round trips of each step, and `python -m examples.control_plane` runs them all.
"""
