// The input is /etc/hosts. Every valid name after an address must be found.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/dns/dns_name.h"
#include "core/dns/hosts_table.h"
#include "core/text_lines.h"
#include "fuzz/property.h"

using namespace sni;
using namespace sni::test;

namespace {

void check_found(const HostsTable& table, const DnsName& name, const IpAddress& address) {
  const Resolution* found = table.find(name.view());
  require(found != nullptr, "a name behind an address is found");
  require(found->status == Resolution::Status::ok && !found->stale, "what is found is an answer");
  const auto list = found->list();
  require(!list.empty() && list.size() <= limits::backend_addresses_max, "it is bounded");
  require(list.size() == limits::backend_addresses_max || std::ranges::count(list, address) == 1,
          "it has the address once");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const HostsTable table = HostsTable::parse(text);
  require(table == HostsTable::parse(text), "the same text says the same");
  std::size_t names = 0;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    line = line.substr(0, line.find('#'));
    const std::optional<IpAddress> address = parse_ip(take_word(line));
    for (auto word = take_word(line); address && !word.empty(); word = take_word(line)) {
      const auto name = parse_dns_name(word);
      if (!name) continue;
      ++names;
      check_found(table, *name, *address);
    }
  }
  require(table.size() <= names, "nothing else is found");
  return 0;
}
