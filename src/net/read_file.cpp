#include "net/read_file.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/config/duration.h"
#include "core/unique_fd.h"

namespace sni {

namespace {

// How long a pipe may have a writer that writes nothing ("--config <(generate)").
constexpr int writer_timeout_ms = 10'000;

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  // O_NONBLOCK: a FIFO in its place must not block the start for ever.
  const UniqueFd file = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return fail_sys("cannot open " + path, errno);
  std::string text;
  std::array<char, 64 * 1024> chunk;
  while (true) {
    const ssize_t length = ::read(file.get(), chunk.data(), chunk.size());
    if (length == 0) return text;
    if (length < 0) {
      pollfd writer{.fd = file.get(), .events = POLLIN, .revents = 0};
      if (errno == EINTR || (errno == EAGAIN && poll(&writer, 1, writer_timeout_ms) > 0)) continue;
      return fail_sys("cannot read " + path, errno);
    }
    text.append(chunk.data(), static_cast<std::size_t>(length));
    if (text.size() > bytes_max) {
      return fail("cannot use " + path + ": longer than " + format_size(bytes_max));
    }
  }
}

}  // namespace sni
