#pragma once

// The names of /etc/hosts (hosts(5)). Lines that cannot be parsed are skipped, as by every other
// reader of this file. A name on several lines has the addresses of all of them.

#include <string>
#include <string_view>
#include <unordered_map>

#include "core/dns/resolution.h"
#include "core/string_hash.h"

namespace sni {

class HostsTable {
 public:
  HostsTable() = default;
  static HostsTable parse(std::string_view text);

  // `name` has the form of DnsName::view(). nullptr: the file does not have it. A result has status
  // ok and alternates between the families.
  const Resolution* find(std::string_view name) const;
  std::size_t size() const { return names_.size(); }
  bool operator==(const HostsTable&) const = default;

 private:
  std::unordered_map<std::string, Resolution, StringHash, std::equal_to<>> names_;
};

}  // namespace sni
