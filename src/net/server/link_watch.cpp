#include "net/server/link_watch.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace sni {

Result<LinkWatch> LinkWatch::open() {
  LinkWatch watch;
  watch.fd_ =
      UniqueFd::adopt(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK;
  if (!watch.fd_ ||
      bind(watch.fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail_sys("cannot watch the network interfaces", errno);
  }
  return watch;
}

void LinkWatch::take() {
  std::array<char, 16'384> news;
  for (;;) {
    const ssize_t n = recv(fd_.get(), news.data(), news.size(), 0);
    if (n == 0 || (n < 0 && errno != ENOBUFS)) return;
  }
}

}  // namespace sni
