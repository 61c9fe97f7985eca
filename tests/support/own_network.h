#pragma once

// A network namespace for one test, without a name: it ends with the thread in it.

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <exception>
#include <functional>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "core/unique_fd.h"
#include "tests/support/packet_builder.h"

namespace sni::test {

// Runs a program of iproute2 with these arguments and requires success.
inline void run_tool(const std::string& words) {
  std::istringstream in(words);
  std::vector<std::string> arguments{std::istream_iterator<std::string>(in), {}};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  REQUIRE(posix_spawnp(&child, argv.front(), nullptr, nullptr, argv.data(), environ) == 0);
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE_MESSAGE(status == 0, words);
}
inline void ip(const std::string& words) {
  run_tool("ip " + words);
}

// A pair of interfaces, near and far, both up.
inline void make_veth(const std::string& options = "") {
  ip("link add near " + options + " type veth peer name far " + options);
  ip("link set near up");
  ip("link set far up");
}
inline void tc(const std::string& words) {
  run_tool("tc " + words);
}

// Runs `body` in a namespace of its own, which has only a loopback interface, up.
inline void in_own_network(const std::function<void()>& body) {
  std::exception_ptr failure;
  std::jthread([&] {
    try {
      REQUIRE(unshare(CLONE_NEWNET) == 0);
      ip("link set lo up");
      body();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

// A packet socket on one interface.
class Wire {
 public:
  explicit Wire(const std::string& interface)
      : fd_(UniqueFd::adopt(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)))) {
    REQUIRE(fd_);
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    REQUIRE(address.sll_ifindex != 0);
    REQUIRE(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }

  void send(const Bytes& frame) const {
    REQUIRE(::send(fd_.get(), frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size()));
  }

  // Whether `frame` arrives before `last` does; other frames, from the kernel, are skipped.
  bool sees_before(const Bytes& frame, const Bytes& last) const {
    for (;;) {
      pollfd readable{.fd = fd_.get(), .events = POLLIN, .revents = 0};
      REQUIRE_MESSAGE(poll(&readable, 1, 10'000) == 1, "the last frame never came");
      Bytes seen(65'536);
      sockaddr_ll from{};
      socklen_t from_size = sizeof from;
      const ssize_t size = recvfrom(fd_.get(), seen.data(), seen.size(), 0,
                                    reinterpret_cast<sockaddr*>(&from), &from_size);
      REQUIRE(size >= 0);
      if (from.sll_pkttype == PACKET_OUTGOING) continue;
      seen.resize(static_cast<std::size_t>(size));
      if (seen == frame) return true;
      if (seen == last) return false;
    }
  }

 private:
  UniqueFd fd_;
};

}  // namespace sni::test
