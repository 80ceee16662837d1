"""SQLite as the evaluator of record: a workspace per connection, its catalog read back, its errors translated."""
