"""Tests of the guarantees of transactions: anomalies, histories, faults."""
