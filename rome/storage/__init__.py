"""Stores: an ordered, transactional key/value store for each engine, and the encoding of keys.

    store           the contract: requests, batches, errors, and the class that engines implement
    registry        opens a store by its URL
    keys            the order-preserving encoding of keys
    undo            snapshot reads, for engines that keep only the newest version
    memory          the store in the process; memory_locks is its lock table
    redis           the store on Redis and Valkey
    lock_table      the contract of lock tables; commit_locks is the one that works on any store

A store knows nothing of tables and SQL: keys and values are bytes.
"""
