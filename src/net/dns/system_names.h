#pragma once

// A snapshot of /etc/hosts and /etc/resolv.conf, shared by all workers. The main thread reads them
// at start, at every reload and when they change (net/dns/names_watch.h), so that no worker waits
// for a file.

#include <string>

#include "core/dns/hosts_table.h"
#include "core/dns/resolv_conf.h"
#include "core/error.h"

namespace sni {

struct SystemNames {
  HostsTable hosts;
  ResolvConf resolv_conf;
  bool operator==(const SystemNames&) const = default;
};

struct SystemNamesPaths {
  std::string hosts = "/etc/hosts";
  std::string resolv_conf = "/etc/resolv.conf";
};

// A missing file counts as empty (containers may have neither). A file that cannot be read, or is
// longer than limits::system_file_max, is an error.
Result<SystemNames> load_system_names(const SystemNamesPaths& paths = {});

}  // namespace sni
