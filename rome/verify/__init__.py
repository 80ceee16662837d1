"""Proofs of what ROME promises: isolation, histories of concurrent transactions, increments, faults."""
