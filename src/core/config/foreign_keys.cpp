#include "core/config/foreign_keys.h"

#include <algorithm>

namespace sni {
namespace {

struct ForeignKey {
  std::string_view table;
  std::string_view key;
  std::string_view hint;
};

constexpr std::string_view any_name_hint =
    "; a route with names = [\"*\"] takes what no other route does";
constexpr std::string_view backend_key_hint = "; where a route leads is its 'backend'";
constexpr std::string_view names_hint = "; what a route takes are its 'names', an array";
constexpr std::string_view address_hint =
    "; where a listener listens is its 'address', as in \"[::]:443\"";
constexpr std::string_view passthrough_hint =
    "; this proxy does not decrypt, so certificates belong to the backends";
constexpr std::string_view send_proxy_hint =
    "; the PROXY protocol to backends is 'send_proxy', as in send_proxy = \"v2\"";
constexpr std::string_view accept_proxy_hint =
    "; proxies that tell their clients by the PROXY protocol are listed in 'accept_proxy_from'";
constexpr std::string_view weight_hint =
    "; a backend has it in its table form, { address = \"10.0.0.5:443\", weight = 3 }";
constexpr std::string_view idle_hint = "; for established connections there is 'idle'";
constexpr std::string_view stderr_log_hint =
    "; the log goes to standard error, and access lines go to 'access_file'";
constexpr std::string_view family_hint =
    "; which addresses are used is its 'family', as in family = \"prefer_ipv4\"";

// nginx, HAProxy, Traefik, Caddy, Envoy and sniproxy.
constexpr ForeignKey foreign_keys[] = {
    {"", "default", any_name_hint},
    {"", "default_backend", any_name_hint},
    {"", "fallback", any_name_hint},
    {"", "frontend", "; a [[listener]] says where clients connect"},
    {"", "listen", "; a [[listener]] says where clients connect"},
    {"", "bind", "; a [[listener]] says where clients connect"},
    {"", "backend", "; a [[route]] has 'names' and a 'backend'"},
    {"", "table", "; a [[route]] has 'names' and a 'backend'"},
    {"", "resolver", "; resolvers are 'servers' in [dns]"},
    {"[[route]]", "default", any_name_hint},
    {"[[route]]", "fallback", any_name_hint},
    {"[[route]]", "default_server", any_name_hint},
    {"[[route]]", "server", backend_key_hint},
    {"[[route]]", "servers", backend_key_hint},
    {"[[route]]", "upstream", "; a SOCKS5 server that reaches the backend is named in 'via'"},
    {"[[route]]", "socks", "; a SOCKS5 server that reaches the backend is named in 'via'"},
    {"[[route]]", "source", "; the address to connect from is its 'bind_address'"},
    {"[[route]]", "usesrc", "; transparent = true connects from the client's own address"},
    {"[[route]]", "proxy_pass", backend_key_hint},
    {"[[route]]", "target", backend_key_hint},
    {"[[route]]", "address", backend_key_hint},
    {"[[route]]", "service", backend_key_hint},
    {"[[route]]", "host", names_hint},
    {"[[route]]", "hosts", names_hint},
    {"[[route]]", "hostname", names_hint},
    {"[[route]]", "domain", names_hint},
    {"[[route]]", "domains", names_hint},
    {"[[route]]", "server_name", names_hint},
    {"[[route]]", "sni", names_hint},
    {"[[route]]", "match", names_hint},
    {"[[route]]", "rule", names_hint},
    {"[[route]]", "proxy_protocol", send_proxy_hint},
    {"[[route]]", "send_proxy_v2", send_proxy_hint},
    {"[[route]]", "weight", weight_hint},
    {"[[route]]", "certificate", passthrough_hint},
    {"[[route]]", "tls", passthrough_hint},
    {"[[listener]]", "listen", address_hint},
    {"[[listener]]", "bind", address_hint},
    {"[[listener]]", "port", address_hint},
    {"[[listener]]", "host", address_hint},
    {"[[listener]]", "mode", "; \"tls\" or \"http\" is its 'protocol'"},
    {"[[listener]]", "proxy_protocol", accept_proxy_hint},
    {"[[listener]]", "accept_proxy", accept_proxy_hint},
    {"[[listener]]", "accept_proxy_protocol", accept_proxy_hint},
    {"[[listener]]", "default", any_name_hint},
    {"[[listener]]", "fallback", any_name_hint},
    {"[[listener]]", "ssl", passthrough_hint},
    {"[[listener]]", "tls", passthrough_hint},
    {"[[listener]]", "cert", passthrough_hint},
    {"[[listener]]", "certificate", passthrough_hint},
    {"[[listener]]", "ssl_certificate", passthrough_hint},
    {"[server]", "listen", "; a [[listener]] says where clients connect"},
    {"[server]", "threads", "; threads are 'workers'"},
    {"[server]", "worker_processes", "; threads are 'workers'"},
    {"[server]", "nbthread", "; threads are 'workers'"},
    {"[timeouts]", "client", idle_hint},
    {"[timeouts]", "server", idle_hint},
    {"[timeouts]", "tunnel", idle_hint},
    {"[timeouts]", "read", idle_hint},
    {"[timeouts]", "handshake", "; for the first flight there is 'hello'"},
    {"[timeouts]", "shutdown", "; for the end of the proxy there is 'drain'"},
    {"[limits]", "maxconn", "; connections in total are 'connections'"},
    {"[limits]", "max_connections", "; connections in total are 'connections'"},
    {"[dns]", "resolver", "; resolvers are 'servers'"},
    {"[dns]", "resolvers", "; resolvers are 'servers'"},
    {"[dns]", "nameserver", "; resolvers are 'servers'"},
    {"[dns]", "nameservers", "; resolvers are 'servers'"},
    {"[dns]", "prefer", family_hint},
    {"[dns]", "prefer_ipv4", family_hint},
    {"[dns]", "ipv4", family_hint},
    {"[dns]", "ipv6", family_hint},
    {"[dns]", "mode", family_hint},
    {"[log]", "file", stderr_log_hint},
    {"[log]", "path", stderr_log_hint},
    {"[log]", "output", stderr_log_hint},
};

}  // namespace

std::string_view foreign_key_hint(std::string_view table, std::string_view key) {
  // TOML gives it to the last table above it.
  if (key == "include") return "; it belongs above the first table of the file";
  const auto* found = std::ranges::find_if(
      foreign_keys, [&](const ForeignKey& each) { return each.table == table && each.key == key; });
  return found == std::end(foreign_keys) ? std::string_view() : found->hint;
}

}  // namespace sni
