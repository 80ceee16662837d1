"""Fault injection: what may fail around a database while clients use it.

server    a Valkey server that can be killed, restarted, run out of memory and become a replica
sentinels a primary, replicas and Sentinels, and a network between them that can be broken
cluster   Valkey servers that fail over to replicas, are added, and exchange slots
proxy     a TCP proxy that cuts connections before, in and after a request
commits   clients that are killed or stopped at a step of their commit; lost responses
followers the thread that keeps a cache the newest is cut off, stopped or ended
injector  all of these at random while a history is recorded (Jepsen calls this a nemesis)
"""
