"""Planning of reads: access paths, the order of fetches, Top-N, and the binding of values."""
