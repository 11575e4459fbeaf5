"""Settings of the C library's memory allocator that keep the daemon small.

`MALLOC_ARENA_MAX=2` in the environment is not enough: in the test of this module, the process keeps
90 MB with the variable alone and 5 MB with these settings. A daemon that is not run from the image
would not have the variable either.
"""

import ctypes

# From glibc's malloc.h.
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8

MMAP_THRESHOLD_BYTES = 128 * 1024
MAX_ARENAS = 1


def configure_malloc() -> None:
    """Limit the arenas and return large blocks to the system. Call it before starting threads.

    By default glibc has up to 8 arenas for each core, and an arena keeps what it has grown to. Most
    allocations hold the interpreter lock, so threads hardly wait for a single arena.

    In addition, each large block that is freed raises the size up to which blocks are taken from an
    arena, so that the body of one large response stays in memory. A fixed threshold turns this off:
    larger blocks are always mapped separately and unmapped when they are freed. Other C libraries
    are not affected.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(M_ARENA_MAX, MAX_ARENAS)
    mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
