"""What a transaction has written: its write set, and the sequence numbers of its new rows."""
