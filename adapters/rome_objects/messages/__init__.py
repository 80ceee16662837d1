"""Messages to other processes.

broker    whether the message broker can be reached, and Valkey or Redis as one
calls     calls with a timeout, repeated only where that is safe, and their errors
"""
