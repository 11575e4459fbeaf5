"""`inference-probe demo`: a toy model and the whole monitoring stack on this machine.

The demo starts the daemon as a process and reads its metrics, as a user does. It imports nothing of
the daemon but the parser of durations.
"""
