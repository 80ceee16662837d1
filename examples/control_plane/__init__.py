"""A small cloud control plane on SQLAlchemy, and a demonstration that runs it on ROME.

`models` and `operations` are plain SQLAlchemy: they run on any of its databases. `story` is a day in the life of the
cloud, step by step; `meter` counts the round trips of each step; `python -m examples.control_plane` shows it all.
"""
