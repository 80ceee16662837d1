"""The writes of a transaction: its write set, and the ids that its new rows got from sequences."""
