"""The functions that generated code calls: SQLite's operators over Python values."""
