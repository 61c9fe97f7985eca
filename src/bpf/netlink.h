#pragma once

// Requests to the kernel over netlink (RFC 3549): routes, traffic control, conntrack and drivers. A
// message is built in a buffer of fixed size and sent, and its answers are read to the last one. One
// request at a time; a socket belongs to one thread.

#include <linux/netlink.h>

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/address/address.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

using NetlinkBytes = std::span<const std::byte>;

// Of the IPv4 address in a v4-mapped one: requests and answers have the four bytes behind it.
inline constexpr std::size_t v4_mapped_offset = 12;

template <typename T>
std::optional<T> netlink_value(NetlinkBytes bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// Of an attribute with a terminating zero.
inline std::string netlink_text(NetlinkBytes value) {
  if (value.empty()) return {};
  return {reinterpret_cast<const char*>(value.data()), value.size() - 1};
}

// Of 4 or 16 bytes.
std::optional<IpAddress> netlink_address(NetlinkBytes value);

// Calls back with type and value of each complete attribute.
template <typename Use>
void for_each_attribute(NetlinkBytes bytes, const Use& use) {
  while (const auto header = netlink_value<nlattr>(bytes)) {
    if (header->nla_len < sizeof(nlattr) || header->nla_len > bytes.size()) return;
    use(static_cast<std::uint16_t>(header->nla_type & NLA_TYPE_MASK),
        bytes.subspan(sizeof(nlattr), header->nla_len - sizeof(nlattr)));
    const std::size_t step = NLA_ALIGN(header->nla_len);
    bytes = bytes.subspan(step < bytes.size() ? step : bytes.size());
  }
}

// The attributes after the fixed header of a message's body.
template <typename Header>
NetlinkBytes attributes_behind(NetlinkBytes body) {
  const std::size_t header = NLMSG_ALIGN(sizeof(Header));
  return body.size() < header ? NetlinkBytes() : body.subspan(header);
}

// A request under construction. It asserts that everything fits: all contents are our own and
// short.
class NetlinkRequest {
 public:
  template <typename Header>
  NetlinkRequest(std::uint16_t type, std::uint16_t flags, const Header& header) {
    const nlmsghdr first{.nlmsg_len = 0,
                         .nlmsg_type = type,
                         .nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags),
                         .nlmsg_seq = 0,
                         .nlmsg_pid = 0};
    append(std::as_bytes(std::span(&first, 1)));
    append(std::as_bytes(std::span(&header, 1)));
  }

  void put(std::uint16_t type, NetlinkBytes value) {
    const nlattr header{.nla_len = static_cast<std::uint16_t>(sizeof(nlattr) + value.size()),
                        .nla_type = type};
    append(std::as_bytes(std::span(&header, 1)));
    append(value);
  }
  template <typename T>
  void put_value(std::uint16_t type, const T& value) {
    put(type, std::as_bytes(std::span(&value, 1)));
  }
  // With the terminating zero that the kernel expects.
  void put_string(std::uint16_t type, std::string_view text);

  // A fixed header among the attributes, as in VETH_INFO_PEER.
  void put_bytes(NetlinkBytes value) { append(value); }

  // Attributes added until the end of the nest become the value of this one.
  std::size_t begin_nest(std::uint16_t type) {
    const std::size_t start = size_;
    put(static_cast<std::uint16_t>(type | NLA_F_NESTED), {});
    return start;
  }
  void end_nest(std::size_t start) {
    const auto length = static_cast<std::uint16_t>(size_ - start);
    std::memcpy(bytes_.data() + start, &length, sizeof length);
  }

  bool wants_acknowledgement() const { return (header().nlmsg_flags & NLM_F_ACK) != 0; }
  bool is_dump() const { return (header().nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP; }
  // Finished, with its length and this sequence number.
  NetlinkBytes bytes(std::uint32_t sequence);

 private:
  static constexpr std::size_t bytes_max = 512;

  nlmsghdr header() const { return *netlink_value<nlmsghdr>(NetlinkBytes(bytes_)); }
  void append(NetlinkBytes value) {
    assert(size_ + NLMSG_ALIGN(value.size()) <= bytes_max);
    if (!value.empty()) std::memcpy(bytes_.data() + size_, value.data(), value.size());
    size_ += NLMSG_ALIGN(value.size());
  }

  alignas(nlmsghdr) std::array<std::byte, bytes_max> bytes_{};
  std::size_t size_ = 0;
};

class NetlinkSocket {
 public:
  // `protocol`: NETLINK_ROUTE, NETLINK_NETFILTER. The socket belongs to the caller's network
  // namespace.
  static Result<NetlinkSocket> open(int protocol);

  int fd() const { return fd_.get(); }

  // Sends the request and calls use(type, body) for each message of the answer: one, or all of a
  // dump. A refusal is an Error with the kernel's errno and its message if it sends one.
  template <typename Use>
  Result<void> ask(NetlinkRequest& request, const Use& use) {
    if (const auto sent = send(request); !sent) return sent;
    for (;;) {
      const auto received = receive();
      if (!received) return std::unexpected(received.error());
      NetlinkBytes left = *received;
      while (const auto header = netlink_value<nlmsghdr>(left)) {
        if (header->nlmsg_len < NLMSG_HDRLEN || header->nlmsg_len > left.size()) break;
        const NetlinkBytes message = left.first(header->nlmsg_len);
        const std::size_t step = NLMSG_ALIGN(header->nlmsg_len);
        left = left.subspan(step < left.size() ? step : left.size());
        if (header->nlmsg_seq != sequence_) continue;  // Of a request that timed out.
        if (header->nlmsg_type == NLMSG_ERROR || header->nlmsg_type == NLMSG_DONE) {
          return verdict(message);
        }
        use(header->nlmsg_type, message.subspan(NLMSG_HDRLEN));
        if (!request.is_dump() && !request.wants_acknowledgement()) return {};
      }
    }
  }
  // For requests that are answered only with an acknowledgement.
  Result<void> ask(NetlinkRequest& request) {
    return ask(request, [](std::uint16_t, NetlinkBytes) {});
  }

 private:
  // A dump's message has at most 32 KiB (NLMSG_GOODSIZE of a netlink_dump() with a large reader).
  static constexpr std::size_t receive_bytes = 32 * 1024;

  Result<void> send(NetlinkRequest& request);
  Result<NetlinkBytes> receive();
  // The verdict of a message of type NLMSG_ERROR, which is also the acknowledgement, or NLMSG_DONE.
  static Result<void> verdict(NetlinkBytes message);

  UniqueFd fd_;
  std::uint32_t sequence_ = 0;
  std::unique_ptr<std::array<std::byte, receive_bytes>> buffer_;
};

}  // namespace sni
