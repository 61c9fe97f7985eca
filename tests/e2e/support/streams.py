"""Long byte streams that need no memory: sent in blocks, hashed at both ends."""

import array
import fcntl
import hashlib
import os
import socket
import termios
import threading

from . import backends, processes

GIB = 1 << 30
_NOISE = os.urandom(8 << 20)


def blocks(count):
    """`count` bytes; no two blocks are alike, so that a lost or repeated one shows in the hash."""
    sent = 0
    while sent < count:
        offset = (sent * 31) % (len(_NOISE) - backends.BLOCK)
        block = sent.to_bytes(8, "big") + _NOISE[offset:offset + backends.BLOCK - 8]
        yield block[:count - sent]
        sent += len(block)


def digest(count):
    whole = hashlib.sha256()
    for block in blocks(count):
        whole.update(block)
    return whole.hexdigest()


def send(connection, count):
    for block in blocks(count):
        connection.sendall(block)


def receive(connection, count):
    """The hash of the next `count` bytes."""
    whole, left = hashlib.sha256(), count
    buffer = bytearray(backends.BLOCK)
    while left:
        length = connection.recv_into(buffer, min(left, len(buffer)))
        if not length:
            raise AssertionError(f"end with {left} of {count} bytes missing")
        whole.update(memoryview(buffer)[:length])
        left -= length
    return whole.hexdigest()


def exchange(connection, count, expected):
    """Sends `count` bytes while receiving as many with the hash `expected`, and ends in order."""
    def send_and_end():
        send(connection, count)
        connection.shutdown(socket.SHUT_WR)

    sending = Task(send_and_end)
    came = receive(connection, count)
    if came != expected:
        raise AssertionError("other bytes came than were sent")
    if end := connection.recv(1):
        raise AssertionError(f"{end} came behind the last byte")
    sending.result()
    connection.close()


def queued(connection):
    """Bytes received by the kernel but not read."""
    count = array.array("i", [0])
    fcntl.ioctl(connection, termios.FIONREAD, count)
    return count[0]


def wait_stalled(*connections):
    """Waits until nothing more arrives on connections that nobody reads: their writers are
    stopped."""
    def lengths():
        seen = [queued(connection) for connection in connections]
        return seen if all(seen) else None
    processes.wait_still(lengths, "the writers to be stopped")


class Task(threading.Thread):
    """A function in a thread of its own; result() waits for it and raises what it raised."""

    def __init__(self, function, *arguments):
        super().__init__(daemon=True)
        self.function, self.arguments = function, arguments
        self.value = self.failure = None
        self.start()

    def run(self):
        try:
            self.value = self.function(*self.arguments)
        except BaseException as failure:
            self.failure = failure

    def result(self, seconds=120):
        self.join(seconds)
        if self.is_alive():
            raise AssertionError(f"{self.function.__name__} did not end in {seconds} s")
        if self.failure:
            raise self.failure
        return self.value
