"""A thread of a child held still, by ptrace(2); a signal would stop all of them."""

import contextlib
import ctypes
import os

# From linux/ptrace.h and linux/wait.h.
SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
WAIT_ALL = 0x40000000  # __WALL: threads too.

libc = ctypes.CDLL(None, use_errno=True)


def call(request, thread):
    if libc.ptrace(request, thread, None, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace({request:#x}): {os.strerror(number)}")


@contextlib.contextmanager
def stopped(thread):
    """Holds the thread until the end of the block, or of its process."""
    call(SEIZE, thread)
    call(INTERRUPT, thread)
    os.waitpid(thread, WAIT_ALL)
    try:
        yield
    finally:
        try:
            call(DETACH, thread)
        except OSError:  # It was killed, and is a zombie until its tracer has seen that.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(thread, WAIT_ALL)
