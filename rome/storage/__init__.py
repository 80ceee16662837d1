"""Stores: an ordered, transactional key/value store for each engine, and the encoding of keys.

store           the contract: requests, batches, errors, and the class that engines implement
registry        opens a store by its URL
keys            the order-preserving encoding of keys
undo            snapshot reads, for engines that keep only the newest version
memory          the store in the process · memory_locks   its lock table
redis           the store on Redis and Valkey
lock_table      the contract of lock tables · commit_locks   the one that works on any store
"""
