"""File systems of a test that are mounted nowhere: they end with their descriptor."""

import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)
# The same numbers on every architecture.
FSOPEN, FSCONFIG, FSMOUNT = 430, 431, 432
CLOEXEC = 1  # FSOPEN_CLOEXEC and FSMOUNT_CLOEXEC.
CMD_CREATE = 6  # FSCONFIG_CMD_CREATE.


def call(number, *arguments):
    result = LIBC.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return result


def detached_bpf_fs():
    """The descriptor of a new, empty BPF file system; /proc/PID/fd/N is its root for all processes
    that may access this one."""
    context = call(FSOPEN, b"bpf", CLOEXEC)
    try:
        call(FSCONFIG, context, CMD_CREATE, None, None, 0)
        return call(FSMOUNT, context, CLOEXEC, 0)
    finally:
        os.close(context)
