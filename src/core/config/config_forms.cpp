#include "core/config/config_forms.h"

#include <sys/un.h>

#include <algorithm>
#include <array>

#include "core/ascii.h"
#include "core/config/address_hints.h"
#include "core/config/diagnostic.h"
#include "core/config/duration.h"
#include "core/decimal.h"
#include "core/hello/server_name.h"
#include "core/limits.h"
#include "core/route/name_regex.h"
#include "core/socks5/socks_login.h"

namespace sni::forms {
namespace {

constexpr std::uint16_t dns_port = 53;
constexpr std::size_t listener_name_max = 64;
constexpr std::size_t account_name_max = 32;  // LOGIN_NAME_MAX of most systems.
constexpr std::size_t alpn_max = 255;         // RFC 7301: one length byte.
constexpr std::size_t path_max = 4095;        // PATH_MAX less its terminator.
constexpr std::size_t interface_max = 15;     // IFNAMSIZ less its terminator.

bool is_absolute_path(std::string_view text) {
  return text.starts_with('/') && text.find('\0') == text.npos;
}

std::unexpected<Error> out_of_range(std::string_view text, const std::string& min,
                                    const std::string& max) {
  return fail(in_quotes(text) + " is not between " + min + " and " + max);
}

// Why canonical_server_name() refused a name that only looks valid.
std::string name_problem(std::string_view text) {
  if (!is_ascii(text)) {
    return " must be written in its ASCII form (\"xn--...\"), as clients send it";
  }
  if (text.find('*') != text.npos) {
    return " has a wildcard that is neither \"*\" nor a leading \"*.\"";
  }
  return " is not a valid host name";
}

// The name of a user or a group.
Result<std::string> account(std::string_view text, const char* what) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  if (text.size() <= account_name_max && std::ranges::all_of(text, is_plain)) {
    return std::string(text);
  }
  return fail(in_quotes(text) + " is not a name for a " + what);
}

}  // namespace

Form<Milliseconds> duration(Milliseconds min, Milliseconds max) {
  return [min, max](std::string_view text) -> Result<Milliseconds> {
    const auto value = parse_duration(text);
    if (!value) {
      const auto meant = guess_duration(text);
      return fail(in_quotes(text) + " is not a duration; " +
                  (meant ? "did you mean " + in_quotes(format_duration(*meant)) + "?"
                         : "write a number and a unit: \"250ms\", \"5s\", \"10m\", \"1h\""));
    }
    if (*value < min || *value > max) {
      return out_of_range(text, format_duration(min), format_duration(max));
    }
    return *value;
  };
}

Form<Milliseconds> optional_duration(Milliseconds min, Milliseconds max) {
  return [form = duration(min, max)](std::string_view text) -> Result<Milliseconds> {
    return text.empty() ? Milliseconds(0) : form(text);
  };
}

Form<Milliseconds> seconds(Milliseconds min, Milliseconds max) {
  return [form = duration(min, max)](std::string_view text) -> Result<Milliseconds> {
    auto value = form(text);
    if (value && value->count() % 1000 != 0) return fail(in_quotes(text) + " is not whole seconds");
    return value;
  };
}

Form<std::uint64_t> size(std::uint64_t min, std::uint64_t max) {
  return [min, max](std::string_view text) -> Result<std::uint64_t> {
    const auto value = parse_size(text);
    if (!value) {
      return fail(
          in_quotes(text) +
          " is not a size; write a whole number and a unit: \"64KiB\", \"256MiB\", \"1GiB\"");
    }
    if (*value < min || *value > max) {
      return out_of_range(text, format_size(min), format_size(max));
    }
    return *value;
  };
}

std::string interface_problem(std::string_view text, const std::optional<Endpoint>& endpoint,
                              const InterfaceLookup& interfaces) {
  const std::string_view name = interface_part(text);
  if (!endpoint && !name.empty() && interfaces && !interfaces(name)) {
    return in_quotes(text) + " has no network interface of this host after its '%'";
  }
  if (endpoint && endpoint->scope == 0 && !endpoint->ip.is_v4() &&
      address_scope(endpoint->ip) == AddressScope::link_local) {
    // Name servers may be written without a port.
    const std::string example = text.starts_with('[') ? "[fe80::1%eth0]:443" : "fe80::1%eth0";
    return in_quotes(text) + " is link-local and needs its interface, as in \"" + example + '"';
  }
  return {};
}

Result<Endpoint> listen_address(std::string_view text, const InterfaceLookup& interfaces) {
  const auto endpoint = parse_endpoint(text, interfaces);
  if (auto problem = interface_problem(text, endpoint, interfaces); !problem.empty()) {
    return fail(std::move(problem));
  }
  if (!endpoint) {
    if (const std::string hint = listen_hint(text); !hint.empty())
      return fail(in_quotes(text) + hint);
    return fail(in_quotes(text) +
                " is not an address and port, as in \"0.0.0.0:443\", \"[::]:443\" or "
                "\"[fe80::1%eth0]:443\"");
  }
  if (endpoint->port == 0) return fail(in_quotes(text) + " needs a port from 1 to 65535");
  const AddressScope scope = address_scope(endpoint->ip);
  if (scope == AddressScope::multicast) return fail(in_quotes(text) + " is a multicast address");
  return *endpoint;
}

Result<Endpoint> dns_server(std::string_view text, const InterfaceLookup& interfaces) {
  auto server = parse_scoped_ip(text, interfaces);
  if (server) {
    server->port = dns_port;
  } else {
    server = parse_endpoint(text, interfaces);
  }
  if (auto problem = interface_problem(text, server, interfaces); !problem.empty()) {
    return fail(std::move(problem));
  }
  if (!server) {
    return fail(in_quotes(text) +
                " is not a resolver's address, as in \"192.0.2.53\" or \"[2001:db8::53]:5353\"");
  }
  const AddressScope scope = address_scope(server->ip);
  if (server->port == 0 || scope == AddressScope::unspecified || scope == AddressScope::multicast) {
    return fail(in_quotes(text) + " is not an address to ask");
  }
  return *server;
}

Result<IpPrefix> prefix(std::string_view text) {
  if (const auto prefix = parse_prefix(text)) return *prefix;
  if (const auto enclosing = parse_enclosing_prefix(text)) {
    return fail(in_quotes(text) + " has host bits set; did you mean " +
                in_quotes(enclosing->to_string()) + "?");
  }
  return fail(in_quotes(text) +
              " is not an address or prefix, as in \"192.0.2.7\" or \"2001:db8::/32\"");
}

Result<std::string> listener_name(std::string_view text) {
  const bool valid = std::ranges::all_of(
      text, [](char c) { return is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '-'; });
  if (!valid || text.empty() || text.size() > listener_name_max) {
    return fail(in_quotes(text) + " is not 1 to " + std::to_string(listener_name_max) +
                " letters, digits, '.', '_' and '-'");
  }
  return std::string(text);
}

Result<std::string> route_name(std::string_view text) {
  if (text == "*" || text == "-") return std::string(text);
  if (is_name_regex(text)) {
    const auto expression = NameRegex::compile(text);
    return expression ? Result<std::string>(text) : fail(in_quotes(text) + expression.error().what);
  }
  const std::string_view wildcard = text.starts_with("*.") ? "*." : "";
  const std::string_view host = text.substr(wildcard.size());
  std::array<char, limits::server_name_max> name{};
  const auto length = canonical_server_name(host, name);
  if (!length) {
    const std::string hint = route_name_hint(text);
    return fail(in_quotes(text) + (hint.empty() ? name_problem(host) : hint));
  }
  if (*length == 0) {
    return fail(in_quotes(text) +
                " is an address, and clients ask for names (RFC 6066); \"-\" takes those that "
                "ask for none");
  }
  return std::string(wildcard).append(name.data(), *length);
}

Result<std::string> alpn(std::string_view text) {
  if (text.empty() || text.size() > alpn_max) {
    return fail(in_quotes(text) + " is not a protocol name of 1 to " + std::to_string(alpn_max) +
                " bytes, as in \"h2\"");
  }
  return std::string(text);
}

Result<std::string> include_pattern(std::string_view text) {
  const std::size_t slash = text.rfind('/');
  const std::string_view directory = text.substr(0, slash == text.npos ? 0 : slash);
  if (text.empty() || text.ends_with('/') || text.size() > path_max ||
      text.find('\0') != text.npos) {
    return fail(in_quotes(text) + " is not a path of files, as in \"conf.d/*.toml\"");
  }
  // A pattern covers one directory, not a tree of them.
  if (directory.find_first_of("*?[") != directory.npos) {
    return fail(in_quotes(text) +
                " has wildcards in a directory; only the last part may have them");
  }
  return std::string(text);
}

Result<std::string> interface(std::string_view text) {
  const bool valid =
      std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && c != '/' && c != ':'; });
  if (!valid || text.empty() || text.size() > interface_max || text == "." || text == "..") {
    return fail(in_quotes(text) + " is not a name that a network interface can have");
  }
  return std::string(text);
}

Result<std::string> optional_interface(std::string_view text) {
  if (text.empty()) return std::string();
  return interface(text);
}

Result<std::string> optional_path(std::string_view text) {
  if (text.empty() || is_absolute_path(text)) return std::string(text);
  return fail(in_quotes(text) + " is not an absolute path");
}

Result<std::string> socket_path(std::string_view text) {
  if (!is_absolute_path(text)) return fail(in_quotes(text) + " is not an absolute path");
  if (text.size() >= sizeof(sockaddr_un::sun_path)) {
    return fail(in_quotes(text) + " is longer than the " +
                std::to_string(sizeof(sockaddr_un::sun_path) - 1) +
                " bytes that a UNIX socket can have");
  }
  return std::string(text);
}

Result<std::string> user(std::string_view text) {
  return account(text, "user");
}

Result<std::string> group(std::string_view text) {
  return account(text, "group");
}

Result<std::uint32_t> socket_mode(std::string_view text) {
  std::uint32_t mode = 0;
  const bool digits = !text.empty() && text.size() <= 4 &&
                      std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '7'; });
  if (digits) {
    for (const char c : text) mode = mode * 8 + static_cast<std::uint32_t>(c - '0');
  }
  if (!digits || mode > 0777) {
    return fail(in_quotes(text) + " is not a mode; write it in octal, as in \"0660\"");
  }
  if ((mode & 0600) != 0600) {
    return fail(in_quotes(text) + " shuts out the socket's owner; write at least \"0600\"");
  }
  return mode;
}

Result<std::string> metrics_address(std::string_view text, const InterfaceLookup& interfaces) {
  constexpr std::string_view unix_prefix = "unix:";
  if (text.empty()) return std::string();
  if (text.starts_with(unix_prefix)) {
    const auto path = socket_path(text.substr(unix_prefix.size()));
    return path ? Result<std::string>(std::string(text)) : std::unexpected(path.error());
  }
  const auto address = listen_address(text, interfaces);
  if (!address) return std::unexpected(address.error());
  return std::string(text);
}

Result<std::size_t> one_of(std::string_view text, std::span<const std::string_view> names) {
  const auto found = std::ranges::find(names, text);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  std::string what = in_quotes(text) + " is not one of ";
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i != 0) what += i + 1 == names.size() ? " and " : ", ";
    what += '"' + std::string(names[i]) + '"';
  }
  return fail(what + did_you_mean(text, names));
}

Result<IpAddress> bind_address(std::string_view text) {
  const auto address = parse_ip(text);
  if (!address) return fail(in_quotes(text) + " is not an address");
  switch (address_scope(*address)) {
    case AddressScope::unspecified:
    case AddressScope::multicast:
      return fail(in_quotes(text) + " is not an address to connect from");
    case AddressScope::link_local:
      if (address->is_v4()) break;
      return fail(in_quotes(text) + " is link-local; 'bind_interface' says where to connect from");
    default:
      break;
  }
  return *address;
}

Result<PortRange> port_range(std::string_view text) {
  if (text.empty()) return PortRange{};
  const std::size_t dash = text.find('-');
  if (dash != text.npos) {
    const auto first = parse_decimal(text.substr(0, dash), 0xffff);
    const auto last = parse_decimal(text.substr(dash + 1), 0xffff);
    if (first && last && *first > 0 && *first <= *last) {
      return PortRange{.first = static_cast<std::uint16_t>(*first),
                       .last = static_cast<std::uint16_t>(*last)};
    }
  }
  return fail(in_quotes(text) + " is not a range of ports, as in \"20000-60000\"");
}

Result<std::string> socks_username(std::string_view text) {
  if (text.size() <= socks_login_bytes_max) return std::string(text);
  return fail("it is longer than 255 bytes");
}

}  // namespace sni::forms
