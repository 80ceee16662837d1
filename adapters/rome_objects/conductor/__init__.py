"""The conductor: a process that runs the remotable methods of other processes.

endpoint    what it does for a call
client      what the other processes call
service     its RPC server
program     the command `rome-conductor`
"""
