"""Replicas of a server: commits that wait for them, and reads that they answer.

replication         `replicas=N`: a commit is acknowledged when N replicas have received it
reads, freshness    `read_from=replica`: fetches go to a replica that is not too late
nearest             which replica
"""
