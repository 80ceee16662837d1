"""The cache of a process: reads that are at most `staleness` seconds behind."""
