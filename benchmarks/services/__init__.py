"""The functions of Nova's and Glance's own database APIs, on their own models, on each database.

`nova` and `glance` have the functions that a boot, a list, a heartbeat and an image upload call, and fill the tables;
`benchmarks.test_services` measures them, `round_trips` counts what each sends. The services' packages have to be
installed: `./scripts/bench --services` does that.
"""
