"""A seccomp filter as container runtimes set one: io_uring's system calls fail with EPERM."""

import ctypes
import errno
import struct

IO_URING_CALLS = (425, 426, 427)  # setup, enter, register: the same numbers on every architecture.
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # Of classic BPF.
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def refuse_io_uring():
    """For preexec_fn: holds for the process and its children."""
    calls = len(IO_URING_CALLS)
    code = [(LOAD_WORD, 0, 0, 0)]  # seccomp_data.nr
    code += [(JUMP_IF_EQUAL, calls - i, 0, call) for i, call in enumerate(IO_URING_CALLS)]
    code += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ERRNO | errno.EPERM)]
    packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    program = _Program(len(code), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if (libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)):
        raise OSError(ctypes.get_errno(), "cannot set a seccomp filter")
