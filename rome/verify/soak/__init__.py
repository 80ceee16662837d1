"""A soak: many processes work for a long time, clients are killed and the server is restarted.

Afterwards the database must be whole, and the memory of the clients that lived must not have grown.

`work` is what a client does, `soak` runs the clients and watches them.
"""

from rome.verify.soak.soak import SoakResult, run_soak

__all__ = ["SoakResult", "run_soak"]
