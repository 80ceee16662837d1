"""Faults on purpose: what may go wrong around a database while it is used.

server    a server that can be killed, restarted, filled up and made a replica
proxy     connections that are cut before, in and after a request
commits   clients that are killed or stopped at a step of their commit; answers that are lost
storm     all of it, again and again, while a history is made
"""
