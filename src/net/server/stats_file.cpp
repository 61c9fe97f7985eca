#include "net/server/stats_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "core/unique_fd.h"
#include "net/read_file.h"

namespace sni {

namespace {

// Six kinds with 1024 rows, whose keys have up to 253 characters, escaped.
constexpr std::size_t stats_bytes_max = 16 << 20;

Result<void> write_whole(const std::string& path, const std::string& text) {
  const UniqueFd file = UniqueFd::adopt(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640));
  if (!file) return fail_sys("cannot write " + path, errno);
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t size = write(file.get(), text.data() + written, text.size() - written);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail_sys("cannot write " + path, errno);
    written += static_cast<std::size_t>(size);
  }
  // Otherwise the new name may reach the disk before the contents.
  if (fdatasync(file.get()) != 0) return fail_sys("cannot write " + path, errno);
  return {};
}

}  // namespace

Result<std::optional<TrafficStore>> read_stats_file(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0 && errno == ENOENT) return std::nullopt;
  const auto text = read_file(path, stats_bytes_max);
  if (!text) return std::unexpected(text.error());
  auto store = parse_traffic_store(*text);
  if (!store) return fail(path + ": " + store.error().what);
  return std::move(*store);
}

Result<void> write_stats_file(const std::string& path, const TrafficStore& store) {
  const std::string fresh = path + ".new";
  if (auto written = write_whole(fresh, traffic_store_text(store)); !written) {
    unlink(fresh.c_str());
    return written;
  }
  if (rename(fresh.c_str(), path.c_str()) != 0) {
    return fail_sys("cannot rename " + fresh + " to " + path, errno);
  }
  return {};
}

}  // namespace sni
