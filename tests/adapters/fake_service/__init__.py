"""A service as small as can be, with its database API where services have theirs."""
