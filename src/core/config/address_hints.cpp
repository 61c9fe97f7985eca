#include "core/config/address_hints.h"

#include <algorithm>
#include <optional>

#include "core/address/address.h"
#include "core/ascii.h"
#include "core/config/diagnostic.h"
#include "core/decimal.h"

namespace sni {
namespace {

constexpr std::uint64_t port_max = 0xffff;

bool is_nonzero_port(std::string_view text) {
  const auto port = parse_decimal(text, port_max);
  return port && *port != 0;
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_digit);
}

std::string did_you_mean_exactly(const std::string& text) {
  return "; did you mean " + in_quotes(text) + "?";
}

// "::1:443" is a valid address, but nearly always means an address and a port.
std::optional<std::string> with_brackets(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos || !is_nonzero_port(text.substr(colon + 1))) return std::nullopt;
  const auto ip = parse_ip(text.substr(0, colon));
  if (!ip || ip->is_v4()) return std::nullopt;
  return '[' + std::string(text.substr(0, colon)) + "]:" + std::string(text.substr(colon + 1));
}

std::string unbracketed_hint(std::string_view text) {
  if (const auto endpoint = with_brackets(text)) {
    return " has an IPv6 address without brackets" + did_you_mean_exactly(*endpoint);
  }
  const auto ip = parse_ip(text);
  if (!ip) return {};
  const std::string shown(text);
  return " has no port" + did_you_mean_exactly((ip->is_v4() ? shown : '[' + shown + ']') + ":443");
}

struct Url {
  std::string_view scheme;
  std::string_view authority;
};

std::optional<Url> split_url(std::string_view text) {
  const std::size_t separator = text.find("://");
  if (separator == text.npos || separator == 0) return std::nullopt;
  const std::string_view rest = text.substr(separator + 3);
  return Url{.scheme = text.substr(0, separator), .authority = rest.substr(0, rest.find('/'))};
}

// host:port of a URL, with its scheme's port.
std::string endpoint_of(const Url& url) {
  std::string endpoint(url.authority);
  const std::size_t colon = endpoint.rfind(':');
  const bool has_port = colon != endpoint.npos && all_digits(url.authority.substr(colon + 1));
  if (!has_port) endpoint += equal_ignoring_case(url.scheme, "http") ? ":80" : ":443";
  return endpoint;
}

// "host:port", an address or a name: what a list with commas is made of.
bool has_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  return colon != text.npos && colon != 0 && is_nonzero_port(text.substr(colon + 1));
}

std::string comma_hint(std::string_view text) {
  const std::size_t comma = text.find(',');
  if (comma == text.npos || !has_port(text.substr(0, comma))) return {};
  return " has a comma; several backends are an array, as in [\"" +
         printable(text.substr(0, comma)) + "\", ...]";
}

std::string port_hint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos || is_nonzero_port(text.substr(colon + 1))) return {};
  return " must end in one port from 1 to 65535";
}

}  // namespace

std::string listen_hint(std::string_view text) {
  std::string_view port = text;
  if (port.starts_with('*')) port.remove_prefix(1);
  if (port.starts_with(':')) port.remove_prefix(1);
  if (is_nonzero_port(port)) {
    const std::string shown(port);
    return " has no address; write \"[::]:" + shown +
           "\" for IPv6 and IPv4, or \"0.0.0.0:" + shown + "\" for IPv4 alone";
  }
  if (const auto url = split_url(text)) {
    return " is a URL" + did_you_mean_exactly(endpoint_of(*url));
  }
  if (std::string hint = unbracketed_hint(text); !hint.empty()) return hint;
  if (std::string hint = port_hint(text); !hint.empty()) return hint;
  const std::string_view host = text.substr(0, text.rfind(':'));
  const bool is_name =
      std::ranges::any_of(host, is_letter) && host.find_first_of(":[]/ ") == host.npos;
  if (is_name) {
    return " has a name, and listeners take addresses, as in \"0.0.0.0:443\" or \"[::]:443\"";
  }
  return {};
}

std::string backend_hint(std::string_view text) {
  if (const auto url = split_url(text)) {
    return " is a URL, and bytes are passed on as they come" +
           did_you_mean_exactly(endpoint_of(*url));
  }
  const std::string_view port = text.starts_with(':') ? text.substr(1) : text;
  if (is_nonzero_port(port)) {
    return " has no host before the port; this host is \"127.0.0.1:" + std::string(port) + '"';
  }
  if (text.starts_with('/'))
    return " is a path" + did_you_mean_exactly("unix:" + std::string(text));
  if (std::string hint = comma_hint(text); !hint.empty()) return hint;
  if (text == "{name}") return " has no port" + did_you_mean_exactly("{name}:443");
  if (text.find(':') == text.npos || parse_ip(text)) return unbracketed_hint(text);
  return {};
}

std::string route_name_hint(std::string_view text) {
  if (text.empty()) return " is empty; \"-\" takes clients that ask for no name";
  if (text.find(',') != text.npos) return " has a comma; several names are an array of them";
  if (const auto url = split_url(text)) {
    const std::string host(url->authority.substr(0, url->authority.find(':')));
    return " is a URL" + did_you_mean_exactly(host);
  }
  if (text.starts_with('.') && text.size() > 1) {
    const std::string host(text.substr(1));
    return " begins with a dot; write \"" + printable(host) + "\" and \"*." + printable(host) + '"';
  }
  const std::size_t colon = text.find(':');
  if (colon != text.npos && colon != 0 && is_nonzero_port(text.substr(colon + 1))) {
    return " has a port, which clients do not send" +
           did_you_mean_exactly(std::string(text.substr(0, colon)));
  }
  if (text.find_first_of("~^$()[]\\|+?") != text.npos) {
    return " is not a host name; a regular expression is written between slashes, as in "
           "'/(.+)\\.example\\.com/'";
  }
  return {};
}

}  // namespace sni
