"""TCP segments made by hand, and the newest numbers of a connection as a packet socket shows them."""

import ipaddress
import select
import socket
import struct

from . import network

ETH_P_ALL = 3
FIN, SYN, RST, PUSH, ACK = 1, 2, 4, 8, 16
HEADERS = {4: (0x0800, 20, 9, 12), 6: (0x86DD, 40, 6, 8)}  # EtherType, size, protocol, addresses.


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def segment(source, target, seq, ack, flags, payload=b""):
    """An IP packet; `source` and `target` are addresses of sockets."""
    one, other = (ipaddress.ip_address(each[0]) for each in (source, target))
    tcp = struct.pack("!HHIIBBHHH", source[1], target[1], seq % 2**32, ack % 2**32, 5 << 4, flags,
                      5000, 0, 0) + payload
    addresses = one.packed + other.packed
    total = checksum(addresses + struct.pack("!II", len(tcp), socket.IPPROTO_TCP) + tcp)
    tcp = tcp[:16] + struct.pack("!H", total) + tcp[18:]
    if one.version == 4:
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, socket.IPPROTO_TCP,
                           0) + addresses + tcp
    return struct.pack("!IHBB", 6 << 28, len(tcp), socket.IPPROTO_TCP, 64) + addresses + tcp


class Forger:
    """Sends segments from one end's namespace to the proxy in that end's name."""

    def __init__(self, namespace, device, source, target):
        self.namespace, self.device = namespace, device
        self.source, self.target = source, target
        self.version = ipaddress.ip_address(source[0]).version
        family = socket.AF_INET if self.version == 4 else socket.AF_INET6
        self.raw = network.within(namespace, lambda: socket.socket(
            family, socket.SOCK_RAW, socket.IPPROTO_RAW))
        self.tap = network.within(namespace, self.listen)

    def listen(self):
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        tap.bind((self.device, ETH_P_ALL))
        return tap

    def numbers(self, talk):
        """seq and ack of the end's next segment, from what it sends during talk()."""
        talk()
        _, size, protocol, at = HEADERS[self.version]
        ports = struct.pack("!HH", self.source[1], self.target[1])
        found = None
        while select.select([self.tap], [], [], 0.03)[0]:
            frame = self.tap.recv(65536)
            ip, tcp = frame[14:14 + size], frame[14 + size:]
            if ip[0] >> 4 != self.version or ip[protocol] != socket.IPPROTO_TCP or \
                    tcp[:4] != ports:
                continue
            seq, ack, offset = struct.unpack("!IIB", tcp[4:13])
            length = struct.unpack("!H", ip[2:4] if self.version == 4 else ip[4:6])[0]
            length -= (size if self.version == 4 else 0) + (offset >> 4) * 4
            found = (seq + length) % 2**32, ack
        if found is None:
            raise AssertionError("the end has sent nothing")
        return found

    def send(self, seq, ack, flags, payload=b""):
        self.raw.sendto(segment(self.source, self.target, seq, ack, flags, payload),
                        (self.target[0], 0))

    def close(self):
        self.raw.close()
        self.tap.close()
