#include "core/route/backend.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "core/ascii.h"
#include "core/config/address_hints.h"
#include "core/config/config_forms.h"
#include "core/config/diagnostic.h"
#include "core/decimal.h"
#include "core/dns/dns_name.h"
#include "core/hello/server_name.h"
#include "core/limits.h"
#include "core/route/name_regex.h"

namespace sni {
namespace {

constexpr std::string_view unix_path_prefix = "unix:";
constexpr std::string_view requested_name = "{name}";

Result<Backend> parse_unix(std::string_view text) {
  auto path = forms::socket_path(text.substr(unix_path_prefix.size()));
  if (!path) return std::unexpected(std::move(path).error());
  return Backend{.kind = Backend::Kind::unix_path, .endpoint = {}, .host = *std::move(path)};
}

Result<Backend> parse_address(std::string_view text, const InterfaceLookup& interfaces) {
  const auto endpoint = parse_endpoint(text, interfaces);
  if (auto problem = forms::interface_problem(text, endpoint, interfaces); !problem.empty()) {
    return fail(std::move(problem));
  }
  if (!endpoint) return fail(in_quotes(text) + " is neither address:port nor name:port");
  switch (address_scope(endpoint->ip)) {
    case AddressScope::unspecified:
    case AddressScope::multicast:
      return fail(in_quotes(text) + " is not an address to connect to");
    default:
      break;
  }
  return Backend{.kind = Backend::Kind::address, .endpoint = *endpoint, .port = endpoint->port};
}

// "\1.internal", as if each group were one label.
Result<Backend> parse_captured(std::string_view text, std::string_view host, std::uint16_t port) {
  std::string sample;
  for (std::size_t at = 0; at < host.size(); ++at) {
    const bool is_group = groups_in_use(host.substr(at, 2)) != 0;
    sample += is_group ? 'x' : host[at];
    at += is_group ? 1 : 0;
  }
  std::array<char, limits::server_name_max> name{};
  const auto length = canonical_server_name(sample, name);
  if (!length || *length == 0) {
    return fail(in_quotes(text) +
                " is not a host name with groups (\"\\1\" to \"\\9\") of a regular expression");
  }
  std::string lower(host);
  std::ranges::transform(lower, lower.begin(), to_lower);
  return Backend{
      .kind = Backend::Kind::captured_name, .endpoint = {}, .host = std::move(lower), .port = port};
}

Result<Backend> parse_name(std::string_view text, std::string_view host, std::uint16_t port,
                           const InterfaceLookup& interfaces) {
  if (host == requested_name) {
    return Backend{.kind = Backend::Kind::requested_name, .endpoint = {}, .port = port};
  }
  if (host.find('\\') != host.npos) return parse_captured(text, host, port);
  if (host.find_first_of("{}") != host.npos) {
    return fail(in_quotes(text) +
                " has braces; \"{name}\" must be the whole host, as in \"{name}:443\"");
  }
  std::array<char, limits::server_name_max> name{};
  const auto length = canonical_server_name(host, name);
  if (!length) {
    return fail(in_quotes(text) + (is_ascii(host)
                                       ? " has no valid host name before the port"
                                       : " must be written in its ASCII form (\"xn--...\")"));
  }
  if (*length == 0) return parse_address(text, interfaces);
  Backend backend{
      .kind = Backend::Kind::name, .endpoint = {}, .host = {name.data(), *length}, .port = port};
  // The dot is kept: no search list completes an absolute name.
  if (host.ends_with('.')) backend.host += '.';
  return backend;
}

// The name has the service, its protocol and its domain (RFC 2782).
Result<Backend> parse_service(std::string_view text) {
  const auto name = parse_service_name(text);
  const std::string_view host = name ? name->view().substr(service_prefix.size()) : "";
  const std::size_t dot = host.find('.');
  if (!host.starts_with('_') || dot == host.npos || !host.substr(dot + 1).starts_with('_')) {
    return fail(
        in_quotes(text) +
        " is not a service, as in \"srv:_https._tcp.example.internal\"; its ports come by DNS");
  }
  return Backend{.kind = Backend::Kind::service,
                 .endpoint = {},
                 .host = std::string(service_prefix) + std::string(host)};
}

Result<Backend> parse(std::string_view text, const InterfaceLookup& interfaces) {
  if (text.starts_with(unix_path_prefix)) return parse_unix(text);
  if (text.starts_with(service_prefix)) return parse_service(text);
  if (const std::string hint = backend_hint(text); !hint.empty())
    return fail(in_quotes(text) + hint);
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos || text.ends_with(']') || parse_ip(text)) {
    return fail(in_quotes(text) +
                " has no port; write \"address:port\", \"[v6-address]:port\", \"name:port\", "
                "\"unix:/path\" or \"{name}:port\"");
  }
  const auto port = parse_decimal(text.substr(colon + 1), 0xffff);
  if (!port || *port == 0) {
    return fail(in_quotes(text) + " must end in a port from 1 to 65535");
  }
  const std::string_view host = text.substr(0, colon);
  if (host.starts_with('[')) return parse_address(text, interfaces);
  return parse_name(text, host, static_cast<std::uint16_t>(*port), interfaces);
}

}  // namespace

Result<Backend> parse_backend(std::string_view text, const InterfaceLookup& interfaces) {
  Result<Backend> backend = parse(text, interfaces);
  if (backend) backend->text = text;
  return backend;
}

Result<Backend> parse_upstream(std::string_view text, const InterfaceLookup& interfaces) {
  Result<Backend> backend = parse_backend(text, interfaces);
  if (backend && backend->kind == Backend::Kind::service) {
    return fail(in_quotes(text) + " must be a server's address or name, not a service");
  }
  if (backend && backend->is_of_client()) {
    return fail(in_quotes(text) +
                " must be a server of its own, not the name that a client asks for");
  }
  return backend;
}

}  // namespace sni
