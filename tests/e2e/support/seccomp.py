"""Seccomp filters like those of container runtimes, for preexec_fn of a child process."""

import ctypes
import errno
import json
import struct
import subprocess

IO_URING = ("io_uring_setup", "io_uring_enter", "io_uring_register")
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
# Classic BPF over struct seccomp_data: the number at offset 0, the first argument's low half at 16.
LOAD, AND, JUMP_IF_EQUAL, RETURN = 0x20, 0x54, 0x15, 0x06
NUMBER, FIRST_ARGUMENT = 0, 16
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


def numbers():
    """System call numbers by name, for this architecture."""
    defines = subprocess.run(["cc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"],
                             check=True, capture_output=True, text=True).stdout
    words = (line.split() for line in defines.splitlines() if line.startswith("#define __NR_"))
    return {word[1][len("__NR_"):]: int(word[2]) for word in words if word[2].isdigit()}


class Filter:
    def __init__(self, default):
        self.code = []
        self.default = default

    def rule(self, number, verdict, mask=None):
        """`verdict` for the call; with a mask: only if its first argument has none of these
        bits."""
        if mask is None:
            self.code += [(JUMP_IF_EQUAL, 0, 1, number), (RETURN, 0, 0, verdict)]
        else:
            self.code += [(JUMP_IF_EQUAL, 0, 5, number), (LOAD, 0, 0, FIRST_ARGUMENT),
                          (AND, 0, 0, mask), (JUMP_IF_EQUAL, 0, 1, 0), (RETURN, 0, 0, verdict),
                          (RETURN, 0, 0, self.default)]

    def install(self):
        code = [(LOAD, 0, 0, NUMBER), *self.code, (RETURN, 0, 0, self.default)]
        packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
        buffer = ctypes.create_string_buffer(packed, len(packed))
        program = _Program(len(code), ctypes.addressof(buffer))
        libc = ctypes.CDLL(None, use_errno=True)
        if (libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
                or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)):
            raise OSError(ctypes.get_errno(), "cannot set a seccomp filter")


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def without_io_uring():
    """Like Docker's default profile: io_uring's calls fail with EPERM."""
    refusing = Filter(ALLOW)
    known = numbers()
    for name in IO_URING:
        refusing.rule(known[name], ERRNO | errno.EPERM)
    return refusing


def from_profile(path, capabilities=()):
    """Compiles a profile like Docker, for the few features that ours uses."""
    profile = json.loads(path.read_text())
    known = numbers()
    filter_ = Filter(ERRNO | profile["defaultErrnoRet"])
    for group in profile["syscalls"]:
        if not set(group.get("includes", {}).get("caps", [])) <= set(capabilities):
            continue
        allowed = group["action"] == "SCMP_ACT_ALLOW"
        verdict = ALLOW if allowed else ERRNO | group["errnoRet"]
        mask = group["args"][0]["value"] if "args" in group else None
        for name in group["names"]:
            if name in known:  # Some calls exist on some architectures only.
                filter_.rule(known[name], verdict, mask)
    return filter_
