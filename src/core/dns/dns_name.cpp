#include "core/dns/dns_name.h"

#include <algorithm>
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

std::optional<DnsName> parse_service_name(std::string_view text) {
  if (!text.starts_with(service_prefix)) return std::nullopt;
  const auto name = parse_dns_name(text.substr(service_prefix.size()));
  if (!name || service_prefix.size() + name->length > limits::server_name_max) return std::nullopt;
  DnsName service;
  service.length = static_cast<std::uint8_t>(service_prefix.size() + name->length);
  std::ranges::copy(name->view(), std::ranges::copy(service_prefix, service.bytes.begin()).out);
  service.make_absolute();
  return service;
}

}  // namespace sni
