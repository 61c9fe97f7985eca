"""The system calls of a hand-over, one by one, as a supervisor of the proxy sees them: seccomp holds
each until it is let go, and the proxy can be killed at any of them.

As a program it starts a command under such a filter and sends the filter's descriptor to a socket.
"""

import array
import ctypes
import fcntl
import os
import select
import signal
import socket
import struct
import sys
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
# setsockopt, bpf, recvfrom, seccomp
CALLS = {"x86_64": (54, 321, 45, 317), "aarch64": (208, 280, 207, 277)}
SETSOCKOPT, BPF, RECVFROM, SECCOMP = CALLS.get(os.uname().machine, CALLS["x86_64"])
SET_MODE_FILTER, NEW_LISTENER = 1, 8
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, NOTIFY = 0x7FFF0000, 0x7FC00000
NUMBER, ARGUMENT = 0, 16  # In struct seccomp_data.
NOTIFICATION, CONTINUE = 80, 1
RECEIVE_NOTE, SEND_NOTE = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV and _SEND
TCP_REPAIR, MAP_UPDATE, TEST_RUN = 19, 2, 10
CONTEXT_AT, OP_AT = 48, 40  # Of ctx_in in union bpf_attr, and of `op` in struct packet_control.
OPS = {2: "prepare", 3: "state", 4: "publish", 6: "route", 7: "forget", 8: "widen"}


def install():
    """Returns the descriptor of the filter's notifications."""
    # Jumps count the instructions to skip: if equal, and if not.
    code = [(LOAD, 0, 0, NUMBER),
            (JUMP_IF_EQUAL, 10, 0, RECVFROM),
            (JUMP_IF_EQUAL, 4, 0, SETSOCKOPT),
            (JUMP_IF_EQUAL, 0, 7, BPF),
            (LOAD, 0, 0, ARGUMENT),
            (JUMP_IF_EQUAL, 6, 0, TEST_RUN),
            (JUMP_IF_EQUAL, 5, 4, MAP_UPDATE),
            (LOAD, 0, 0, ARGUMENT + 8),
            (JUMP_IF_EQUAL, 0, 2, socket.IPPROTO_TCP),
            (LOAD, 0, 0, ARGUMENT + 16),
            (JUMP_IF_EQUAL, 1, 0, TCP_REPAIR),
            (RETURN, 0, 0, ALLOW),
            (RETURN, 0, 0, NOTIFY)]
    packed = b"".join(struct.pack("=HBBI", *each) for each in code)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    program = struct.pack("@HP", len(code), ctypes.addressof(buffer))
    fd = LIBC.syscall(SECCOMP, SET_MODE_FILTER, NEW_LISTENER, program)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return fd


class Steps:
    """Names the steps from begin() on, and kills the process at its `at`th one named `name`."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.wrapper = [sys.executable, "-B", __file__, str(path)]
        self.seen, self.goal, self.active = [], None, False
        self.hit = threading.Event()
        threading.Thread(target=self.run, daemon=True).start()

    def begin(self, name=None, at=1):
        self.goal, self.active = (name, at), True

    def run(self):
        with self.listener:
            connection, _ = self.listener.accept()
        with connection:
            _, (fds,), _, _ = connection.recvmsg(1, socket.CMSG_SPACE(4))
        notes, = array.array("i", fds[2])
        poller = select.poll()
        poller.register(notes, select.POLLIN)
        while True:
            for _, events in poller.poll():
                if not events & select.POLLIN:
                    return os.close(notes)  # The process has ended.
                self.on_call(notes)

    def on_call(self, notes):
        note = bytearray(NOTIFICATION)
        try:
            fcntl.ioctl(notes, RECEIVE_NOTE, note)
            number, process = struct.unpack_from("@QI", note)
            if self.active and self.note(process, *struct.unpack_from("@i12x6Q", note, 16)):
                return  # The call is not made any more.
            fcntl.ioctl(notes, SEND_NOTE, struct.pack("@QqiI", number, 0, 0, CONTINUE))
        except OSError:
            pass  # The process has ended meanwhile.

    def note(self, process, call, *arguments):
        """Whether the process has been killed at this call."""
        name = self.name(process, call, arguments)
        self.seen.append(name)
        wanted, at = self.goal
        if name != wanted or self.seen.count(name) != at:
            return False
        self.hit.set()
        os.kill(process, signal.SIGKILL)
        return True

    @staticmethod
    def name(process, call, arguments):
        if call == RECVFROM:
            return "receive" if arguments[3] & socket.MSG_DONTWAIT else "netlink"
        with open(f"/proc/{process}/mem", "rb", 0) as memory:
            def read(at, form):
                return struct.unpack(form, os.pread(memory.fileno(), struct.calcsize(form), at))
            if call == SETSOCKOPT:
                return f"repair {read(arguments[3], '@i')[0]}"
            if arguments[0] == MAP_UPDATE:
                return "update"
            context, = read(arguments[1] + CONTEXT_AT, "@Q")
            op, value = read(context + OP_AT, "@II")
            return f"state {value}" if OPS.get(op) == "state" else OPS.get(op, "control")


if __name__ == "__main__":
    with socket.socket(socket.AF_UNIX) as supervisor:
        supervisor.connect(sys.argv[1])
        listener = install()
        supervisor.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                     array.array("i", [listener]))])
    os.close(listener)
    os.execvp(sys.argv[2], sys.argv[2:])
