"""What the C library is told about memory."""

import ctypes

ARENAS = 2
M_ARENA_MAX = -8
"""From glibc's malloc.h."""


def share_arenas() -> None:
    """Let all threads allocate from two arenas: to be called before there is a second thread.

    glibc gives threads arenas of their own, 8 for each core, and what one has grown to for a moment
    it keeps: a daemon that reloads for a year would keep the most of each. Other C libraries have
    no arenas, and are left alone.
    """
    try:
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
    except (AttributeError, OSError):
        return
