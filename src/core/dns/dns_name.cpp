#include "core/dns/dns_name.h"

#include <span>

#include "core/hello/server_name.h"

namespace sni {

std::optional<DnsName> parse_dns_name(std::string_view text) {
  DnsName name;
  const auto length =
      canonical_server_name(text, std::span(name.bytes).first<limits::server_name_max>());
  if (!length || *length == 0) return std::nullopt;
  name.length = *length;
  if (text.ends_with('.')) name.make_absolute();
  return name;
}

}  // namespace sni
