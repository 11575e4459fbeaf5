"""`inference-probe demo`: a toy model and the whole monitoring stack on this machine.

The demo starts the daemon as a process and reads its metrics, as a user does. It imports only
`config.units` and `resources` from the rest of the package.
"""
