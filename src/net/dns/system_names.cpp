#include "net/dns/system_names.h"

#include <cerrno>

#include "core/limits.h"
#include "net/interface_index.h"
#include "net/read_file.h"

namespace sni {
namespace {

// A host without the file has no names in it.
Result<std::string> read_names(const std::string& path) {
  auto text = read_file(path, limits::system_file_max);
  if (!text && text.error().sys_errno == ENOENT) return std::string();
  return text;
}

}  // namespace

Result<SystemNames> load_system_names(const SystemNamesPaths& paths) {
  Result<std::string> hosts = read_names(paths.hosts);
  if (!hosts) return std::unexpected(std::move(hosts.error()));
  Result<std::string> resolv_conf = read_names(paths.resolv_conf);
  if (!resolv_conf) return std::unexpected(std::move(resolv_conf.error()));
  return SystemNames{.hosts = HostsTable::parse(*hosts),
                     .resolv_conf = parse_resolv_conf(*resolv_conf, interface_index)};
}

}  // namespace sni
