"""What ROME offers to tests: a conformance suite for stores, and quick copies of databases."""
