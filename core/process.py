"""Process-wide settings of memory allocation and garbage collection."""

import atexit
import ctypes
import gc
from functools import cache


def keep_freed_memory() -> None:
    """Make glibc keep up to 1 GiB of freed memory instead of returning it to the system.

    Activations are allocated and freed layer by layer. By default, the system clears the pages for
    each allocation, which takes about 15% of an evaluation's time. This affects the whole process;
    without glibc it does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # from mallopt(3)
    mallopt(mmap_threshold, 32 << 20)
    mallopt(trim_threshold, 1 << 30)
    mallopt(top_pad, 64 << 20)


@cache
def freeze_imported_objects() -> None:
    """Exclude imported objects from garbage collection, once for the whole process.

    Streamlit collects garbage after every run of a page. Most objects belong to imported modules,
    and scanning them blocks all other sessions, which share the interpreter.
    """
    gc.collect()  # otherwise current garbage would be frozen too
    gc.freeze()
    atexit.register(gc.unfreeze)  # extension modules warn about leaked objects at exit
