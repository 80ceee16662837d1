"""Proof that transactions keep what is promised: anomalies, histories, faults."""
