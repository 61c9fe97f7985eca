#include "bpf/netlink.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace sni {
namespace {

// The kernel's own explanation, if it gives one (NLMSGERR_ATTR_MSG).
std::string explanation_of(NetlinkBytes message, const nlmsghdr& header) {
  std::string words;
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return words;
  const NetlinkBytes body = message.subspan(NLMSG_HDRLEN);
  const auto error = netlink_value<nlmsgerr>(body);
  if (!error) return words;
  // The answer repeats the request's body unless it is capped.
  std::size_t skip = sizeof(nlmsgerr);
  if ((header.nlmsg_flags & NLM_F_CAPPED) == 0 && error->msg.nlmsg_len > NLMSG_HDRLEN) {
    skip += NLMSG_ALIGN(error->msg.nlmsg_len - NLMSG_HDRLEN);
  }
  if (skip > body.size()) return words;
  for_each_attribute(body.subspan(skip), [&](std::uint16_t type, NetlinkBytes value) {
    if (type != NLMSGERR_ATTR_MSG || value.empty()) return;
    words.assign(reinterpret_cast<const char*>(value.data()), value.size() - 1);
  });
  return words;
}

}  // namespace

std::optional<IpAddress> netlink_address(NetlinkBytes value) {
  IpAddress address = IpAddress::v4(0, 0, 0, 0);
  const auto into = std::as_writable_bytes(std::span(address.bytes));
  if (value.size() != into.size() && value.size() != into.size() - v4_mapped_offset)
    return std::nullopt;
  std::ranges::copy(value, into.last(value.size()).begin());
  return address;
}

void NetlinkRequest::put_string(std::uint16_t type, std::string_view text) {
  const std::string terminated(text);
  put(type, std::as_bytes(std::span(terminated.c_str(), terminated.size() + 1)));
}

NetlinkBytes NetlinkRequest::bytes(std::uint32_t sequence) {
  nlmsghdr first = header();
  first.nlmsg_len = static_cast<std::uint32_t>(size_);
  first.nlmsg_seq = sequence;
  std::memcpy(bytes_.data(), &first, sizeof first);
  return NetlinkBytes(bytes_).first(size_);
}

Result<NetlinkSocket> NetlinkSocket::open(int protocol) {
  NetlinkSocket made;
  made.fd_ = UniqueFd::adopt(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!made.fd_) return fail_sys("cannot ask the kernel over netlink", errno);
  const timeval timeout{.tv_sec = 1, .tv_usec = 0};
  ::setsockopt(made.fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  // Older kernels refuse these options and give bare error numbers.
  const int on = 1;
  ::setsockopt(made.fd_.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  ::setsockopt(made.fd_.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  made.buffer_ = std::make_unique<std::array<std::byte, receive_bytes>>();
  return made;
}

Result<void> NetlinkSocket::send(NetlinkRequest& request) {
  const NetlinkBytes bytes = request.bytes(++sequence_);
  if (::send(fd_.get(), bytes.data(), bytes.size(), 0) < 0) {
    return fail_sys("cannot ask the kernel over netlink", errno);
  }
  return {};
}

Result<NetlinkBytes> NetlinkSocket::receive() {
  for (;;) {
    const ssize_t size = ::recv(fd_.get(), buffer_->data(), buffer_->size(), 0);
    if (size >= 0) return NetlinkBytes(*buffer_).first(static_cast<std::size_t>(size));
    if (errno != EINTR) return fail_sys("the kernel does not answer over netlink", errno);
  }
}

Result<void> NetlinkSocket::verdict(NetlinkBytes message) {
  const auto header = *netlink_value<nlmsghdr>(message);
  const int error = netlink_value<int>(message.subspan(NLMSG_HDRLEN)).value_or(0);
  if (error >= 0) return {};
  const std::string words = explanation_of(message, header);
  return fail_sys(words.empty() ? "the kernel refuses" : "the kernel refuses (" + words + ")",
                  -error);
}

}  // namespace sni
