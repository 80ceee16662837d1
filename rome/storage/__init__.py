"""Keys and rows as bytes, the Store contract, and one module for each engine.

`store` is the contract, `registry` opens a store by its URL, `keys` and `rows` are the formats, `undo` reads older
versions for engines that keep only the newest.
"""
