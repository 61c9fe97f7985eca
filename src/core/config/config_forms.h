#pragma once

// The syntax of the strings in a configuration: one Form (core/config/toml_reader.h) per kind of
// value.

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/address/address.h"
#include "core/config/toml_reader.h"

namespace sni {

// Both inclusive; 0: none is given.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
};

}  // namespace sni

namespace sni::forms {

using Milliseconds = std::chrono::milliseconds;

// Both bounds are allowed.
Form<Milliseconds> duration(Milliseconds min, Milliseconds max);
// "" is 0, which stands for a value from elsewhere.
Form<Milliseconds> optional_duration(Milliseconds min, Milliseconds max);
// Whole seconds.
Form<Milliseconds> seconds(Milliseconds min, Milliseconds max);
Form<std::uint64_t> size(std::uint64_t min, std::uint64_t max);

// An address:port to listen on.
Result<Endpoint> listen_address(std::string_view text, const InterfaceLookup& interfaces = {});
// An address of this host, to connect from.
Result<IpAddress> bind_address(std::string_view text);
// Local ports as in "20000-60000", or "" for the system's.
Result<PortRange> port_range(std::string_view text);
// Of a SOCKS5 login: up to 255 bytes, "" for none.
Result<std::string> socks_username(std::string_view text);
// A resolver: "192.0.2.53", "2001:db8::53", "fe80::1%eth0", or each with a port.
Result<Endpoint> dns_server(std::string_view text, const InterfaceLookup& interfaces = {});
// The problem of a link-local address that lacks its interface or names one that does not exist;
// empty: there is none. The message quotes `text`.
std::string interface_problem(std::string_view text, const std::optional<Endpoint>& endpoint,
                              const InterfaceLookup& interfaces);
Result<IpPrefix> prefix(std::string_view text);
// 1 to 64 letters, digits, '.', '_', '-': the name appears unescaped in logs and answers.
Result<std::string> listener_name(std::string_view text);
// In the form of RouteConfig::names: "-" is for clients that send no name.
Result<std::string> route_name(std::string_view text);
Result<std::string> alpn(std::string_view text);
// A file, or a pattern with wildcards in its last component, as in "conf.d/*.toml".
Result<std::string> include_pattern(std::string_view text);
// A network interface, as the kernel names them.
Result<std::string> interface(std::string_view text);
// The same, or "" for none.
Result<std::string> optional_interface(std::string_view text);
// An absolute path, or "" for none.
Result<std::string> optional_path(std::string_view text);
// An absolute path that fits into a UNIX socket's address.
Result<std::string> socket_path(std::string_view text);
// A user or a group by name or number, or "" for none.
Result<std::string> user(std::string_view text);
Result<std::string> group(std::string_view text);
// The permission bits of a socket in octal, as in "0660".
Result<std::uint32_t> socket_mode(std::string_view text);
// "address:port" or "unix:/path", or "" for none.
Result<std::string> metrics_address(std::string_view text, const InterfaceLookup& interfaces = {});

// The index of `text` in `names`.
Result<std::size_t> one_of(std::string_view text, std::span<const std::string_view> names);

template <typename E, std::size_t N>
Form<E> choice(const std::array<std::pair<std::string_view, E>, N>& choices) {
  return [all = choices](std::string_view text) -> Result<E> {
    std::vector<std::string_view> names;
    for (const auto& [name, value] : all) names.push_back(name);
    const auto index = one_of(text, names);
    if (!index) return std::unexpected(index.error());
    return all[*index].second;
  };
}

}  // namespace sni::forms
