#include "core/dns/hosts_table.h"

#include <algorithm>
#include <vector>

#include "core/dns/dns_name.h"
#include "core/text_lines.h"

namespace sni {
namespace {

using Found = std::unordered_map<std::string, std::vector<IpAddress>, StringHash, std::equal_to<>>;

// Adds an address in the order of the file.
void add(Found& found, const DnsName& name, const IpAddress& address) {
  std::vector<IpAddress>& known = found[std::string(name.view())];
  if (known.size() >= limits::backend_addresses_max) return;
  if (std::ranges::find(known, address) == known.end()) known.push_back(address);
}

}  // namespace

HostsTable HostsTable::parse(std::string_view text) {
  Found all;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    line = line.substr(0, line.find('#'));
    const std::optional<IpAddress> address = parse_ip(take_word(line));
    if (!address) continue;
    for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
      if (const std::optional<DnsName> name = parse_dns_name(word)) add(all, *name, *address);
    }
  }
  HostsTable table;
  for (const auto& [name, addresses] : all) {
    table.names_.emplace(name, Resolution::sorted(addresses, AddressFamilies::any));
  }
  return table;
}

const Resolution* HostsTable::find(std::string_view name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? nullptr : &found->second;
}

}  // namespace sni
