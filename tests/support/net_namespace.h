#pragma once

// A network namespace without a name: it ends with the last descriptor or socket that refers to it,
// however the test ends. Loopback is up.

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <thread>
#include <type_traits>

#include "support/tcp_pair.h"

namespace sni::test {

class NetNamespace {
 public:
  NetNamespace() {
    in_thread([this] {
      check(::unshare(CLONE_NEWNET), "unshare");
      fd_ = UniqueFd::adopt(check(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "ns"));
      const auto socket = tcp_socket();
      ifreq request{};
      std::ranges::copy("lo", request.ifr_name);
      request.ifr_flags = IFF_UP;
      check(::ioctl(socket.get(), SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
    });
  }

  int fd() const { return fd_.get(); }

  // Runs the function in the namespace, on a thread of its own; sockets that it opens stay in the
  // namespace.
  template <typename F>
  auto run(F function) const {
    std::optional<std::invoke_result_t<F>> result;
    in_thread([&] {
      check(::setns(fd_.get(), CLONE_NEWNET), "setns");
      result.emplace(function());
    });
    return std::move(*result);
  }

 private:
  template <typename F>
  static void in_thread(F function) {
    std::exception_ptr error;
    std::thread([&] {
      try {
        function();
      } catch (...) {
        error = std::current_exception();
      }
    }).join();
    if (error) std::rethrow_exception(error);
  }

  UniqueFd fd_;
};

}  // namespace sni::test
