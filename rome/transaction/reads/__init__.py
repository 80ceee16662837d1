"""What a transaction has read: its row cache, the lookups that are answered, and the reads that commit validates."""
