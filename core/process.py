"""Settings of the whole process: its memory, its garbage collector."""

import atexit
import ctypes
import gc
from functools import cache


def keep_freed_memory() -> None:
    """Have glibc keep what was freed, up to a gibibyte, instead of handing it back at once.

    Activations are allocated and freed layer by layer; by default each round trip to the system
    clears fresh pages, some 15 % of an evaluation's time. For the whole process; nothing elsewhere.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # names and numbers are mallopt(3)'s
    mallopt(mmap_threshold, 32 << 20)
    mallopt(trim_threshold, 1 << 30)
    mallopt(top_pad, 64 << 20)


@cache
def freeze_imported_objects() -> None:
    """Have the garbage collector pass over what was imported, once for the whole process.

    Streamlit collects after every run of a page, and modules are most of what there is to look at:
    looking holds up every other viewer, since all share one interpreter.
    """
    gc.collect()  # what is garbage now would stay too
    gc.freeze()
    atexit.register(gc.unfreeze)  # at the end extension modules complain of what is left
