#include "net/system_names.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/limits.h"
#include "core/unique_fd.h"

namespace sni {
namespace {

Result<std::string> read_file(const std::string& path) {
  // O_NONBLOCK: a FIFO in its place must not stop the start.
  const UniqueFd file = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) {
    if (errno == ENOENT) return std::string();
    return fail_sys("cannot open " + path, errno);
  }
  std::string text;
  std::array<char, 64 * 1024> chunk;
  while (true) {
    const ssize_t length = ::read(file.get(), chunk.data(), chunk.size());
    if (length == 0) return text;
    if (length < 0) {
      if (errno == EINTR) continue;
      return fail_sys("cannot read " + path, errno);
    }
    text.append(chunk.data(), static_cast<std::size_t>(length));
    if (text.size() > limits::system_file_max) {
      return fail("cannot use " + path + ": longer than " +
                  std::to_string(limits::system_file_max >> 20) + " MiB");
    }
  }
}

}  // namespace

Result<std::shared_ptr<const SystemNames>> load_system_names(const SystemNamesPaths& paths) {
  Result<std::string> hosts = read_file(paths.hosts);
  if (!hosts) return std::unexpected(std::move(hosts.error()));
  Result<std::string> resolv_conf = read_file(paths.resolv_conf);
  if (!resolv_conf) return std::unexpected(std::move(resolv_conf.error()));
  return std::make_shared<const SystemNames>(SystemNames{
      .hosts = HostsTable::parse(*hosts), .resolv_conf = parse_resolv_conf(*resolv_conf)});
}

}  // namespace sni
