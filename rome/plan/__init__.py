"""Plans of statements: how a text is prepared under a catalog, and where prepared plans are cached."""
