"""Exceptions that several packages share."""


class ReloadRejected(Exception):
    """A reload changed nothing. The message says why, for users."""
