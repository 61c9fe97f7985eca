#include "bench/observer.h"

#include <poll.h>
#include <pty.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "bench/clock.h"
#include "core/unique_fd.h"
#include "net/control/control_address.h"

namespace sni::bench {
namespace {

constexpr std::uint64_t scrape_every_ns = second_ns;
constexpr std::string_view request =
    "GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
constexpr std::string_view always_there = "sni_proxy_build_info";  // Present in each scrape.

bool scrape(const std::string& path) {
  const auto address = control_address(path);
  const UniqueFd fd = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!address || !fd || ::connect(fd.get(), as_sockaddr(*address), sizeof *address) != 0 ||
      ::write(fd.get(), request.data(), request.size()) != static_cast<ssize_t>(request.size())) {
    return false;
  }
  std::string text;
  std::array<char, 65'536> buffer{};
  for (ssize_t n = 0; (n = ::read(fd.get(), buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return text.contains(always_there);
}

// The terminal that `top` runs on.
UniqueFd start_top(const Observed& observed) {
  const winsize size{.ws_row = 40, .ws_col = 100, .ws_xpixel = 0, .ws_ypixel = 0};
  int terminal = -1;
  if (::forkpty(&terminal, nullptr, nullptr, &size) == 0) {
    ::setenv("TERM", "xterm", 1);  // NOLINT(concurrency-mt-unsafe): in a child with one thread.
    ::execl(observed.program.c_str(), "sni-proxy", "top", "--socket",
            observed.control_socket.c_str(), nullptr);
    ::_exit(127);
  }
  return UniqueFd::adopt(terminal);
}

void watch(const Observed& observed) {
  const UniqueFd terminal = start_top(observed);
  std::array<char, 65'536> screen{};
  for (std::uint64_t due = now_ns();;) {
    const std::uint64_t now = now_ns();
    if (now >= due) {
      if (!scrape(observed.metrics_socket)) ::_exit(1);
      due += scrape_every_ns;
    }
    pollfd wait{.fd = terminal.get(), .events = POLLIN, .revents = 0};
    const std::uint64_t left = due > now ? due - now : 0;
    if (::poll(&wait, 1, static_cast<int>(left / millisecond_ns) + 1) <= 0) continue;
    // If its terminal has ended, so has top.
    if (::read(terminal.get(), screen.data(), screen.size()) <= 0) ::_exit(1);
  }
}

}  // namespace

Result<Child> observe(const Observed& observed) {
  return Child::call(-1, [&observed] { watch(observed); });
}

}  // namespace sni::bench
