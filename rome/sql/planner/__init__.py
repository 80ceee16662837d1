"""The planner of reads: access paths, the order of fetches, counts, Top-N, and requests for values (`bind`)."""
