"""The conductor: a process that runs the remotable methods of other processes.

endpoint    the methods that are called by RPC
client      how other processes call them
service     the RPC server
workers     the processes of a conductor
program     the command `rome-conductor`
"""
