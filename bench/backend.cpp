#include "bench/backend.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "bench/clock.h"
#include "bench/hello.h"
#include "bench/pattern.h"

namespace sni::bench {

Result<std::vector<UniqueFd>> listen_on(in_addr address, std::uint16_t first_port,
                                        std::uint16_t count) {
  std::vector<UniqueFd> listeners;
  for (std::uint16_t i = 0; i < count; ++i) {
    const auto port = static_cast<std::uint16_t>(first_port + i);
    UniqueFd fd = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return fail_sys("cannot make a backend socket", errno);
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr = address;
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
        ::listen(fd.get(), 4096) != 0) {
      return fail_sys("cannot listen on backend port " + std::to_string(port), errno);
    }
    listeners.push_back(std::move(fd));
  }
  return listeners;
}

Opening::State Opening::append(std::span<const std::byte> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  if (bytes_.size() < needed_) return State::incomplete;
  if (needed_ == tls_record_header) {
    const std::size_t length =
        std::to_integer<std::size_t>(bytes_[3]) << 8 | std::to_integer<std::size_t>(bytes_[4]);
    if (std::to_integer<int>(bytes_[0]) != 22 || length > hello_max) return State::broken;
    needed_ += length + sizeof(Command);
    return State::incomplete;
  }
  std::memcpy(&command_, bytes_.data() + bytes_.size() - sizeof command_, sizeof command_);
  if (command_.magic != Command::magic_value || command_.message_bytes > chunk_max) {
    return State::broken;
  }
  return State::complete;
}

std::uint64_t Pace::due(std::uint64_t now) const {
  if (bytes_per_second == 0) return UINT64_MAX;
  if (now <= start_ns) return 0;
  // Microseconds keep the product within 64 bits for ten hours at 5 Gbit/s.
  return (now - start_ns) / 1000 * bytes_per_second / 1'000'000;
}

std::uint64_t Pace::when(std::uint64_t bytes) const {
  return start_ns + (bytes * 1'000'000 / bytes_per_second + 1) * 1000;
}

}  // namespace sni::bench
