"""What the C library is told about memory."""

import ctypes

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
"""From glibc's malloc.h."""

MMAP_THRESHOLD_BYTES = 256 * 1024
MAX_ARENAS = 2


def configure_malloc() -> None:
    """Keep the daemon as small as it is for a year: to be called before there is a second thread.

    Left alone, glibc gives threads arenas of their own, 8 for each core, and learns from each large
    piece that is freed to take the next from an arena, not from the system. What an arena has grown
    to for a moment, as for the body of an answer, it keeps. Here there are two arenas, and large
    pieces (bytes) always go back. Other C libraries are left alone.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(M_ARENA_MAX, MAX_ARENAS)
    mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
