"""From a write set to the batch of checks and writes that a store commits."""
