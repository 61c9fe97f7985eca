#include "core/dns/hosts_table.h"

#include <algorithm>
#include <vector>

#include "core/dns/dns_name.h"
#include "core/text_lines.h"

namespace sni {
namespace {

// IPv6 and IPv4 in turns, each in the order of the file.
Resolution ordered(const Resolution& found) {
  std::vector<IpAddress> v6;
  std::vector<IpAddress> v4;
  for (const IpAddress& address : found.list()) (address.is_v4() ? v4 : v6).push_back(address);
  return Resolution::in_turns(v6, v4);
}

}  // namespace

HostsTable HostsTable::parse(std::string_view text) {
  HostsTable table;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    line = line.substr(0, line.find('#'));
    const std::optional<IpAddress> address = parse_ip(take_word(line));
    if (!address) continue;
    for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
      const std::optional<DnsName> name = parse_dns_name(word);
      if (!name) continue;
      Resolution& found = table.names_[std::string(name->view())];
      const auto known = found.list();
      if (std::ranges::find(known, *address) == known.end()) found.add(*address);
    }
  }
  for (auto& [name, found] : table.names_) found = ordered(found);
  return table;
}

const Resolution* HostsTable::find(std::string_view name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? nullptr : &found->second;
}

}  // namespace sni
