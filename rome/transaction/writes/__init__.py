"""What a transaction has written: its write set, and the ids that its new rows got from sequences."""
