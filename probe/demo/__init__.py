"""`inference-probe demo`: everything on this machine, for someone to see what the project does.

A program of its own that uses the daemon as anybody would: it starts it as a process and reads its
metrics. It imports nothing of it.
"""
