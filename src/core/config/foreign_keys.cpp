#include "core/config/foreign_keys.h"

#include <algorithm>

namespace sni {
namespace {

struct ForeignKey {
  std::string_view table;
  std::string_view key;
  std::string_view hint;
};

constexpr std::string_view any_name =
    "; a route with names = [\"*\"] takes what no other route does";
constexpr std::string_view backend = "; where a route leads is its 'backend'";
constexpr std::string_view names = "; what a route takes are its 'names', an array";
constexpr std::string_view address =
    "; where a listener listens is its 'address', as in \"[::]:443\"";
constexpr std::string_view passthrough =
    "; this proxy does not decrypt, so certificates belong to the backends";
constexpr std::string_view send_proxy =
    "; the PROXY protocol to backends is 'send_proxy', as in send_proxy = \"v2\"";
constexpr std::string_view accept_proxy =
    "; proxies that tell their clients by the PROXY protocol are listed in 'accept_proxy_from'";
constexpr std::string_view balance = "; an array of backends is tried in its order";
constexpr std::string_view idle = "; for established connections there is 'idle'";
constexpr std::string_view stderr_log = "; the log goes to standard error";

// nginx, HAProxy, Traefik, Caddy, Envoy and sniproxy.
constexpr ForeignKey foreign_keys[] = {
    {"", "default", any_name},
    {"", "default_backend", any_name},
    {"", "fallback", any_name},
    {"", "frontend", "; a [[listener]] says where clients connect"},
    {"", "listen", "; a [[listener]] says where clients connect"},
    {"", "bind", "; a [[listener]] says where clients connect"},
    {"", "backend", "; a [[route]] has 'names' and a 'backend'"},
    {"", "table", "; a [[route]] has 'names' and a 'backend'"},
    {"", "resolver", "; resolvers are 'servers' in [dns]"},
    {"[[route]]", "default", any_name},
    {"[[route]]", "fallback", any_name},
    {"[[route]]", "default_server", any_name},
    {"[[route]]", "server", backend},
    {"[[route]]", "servers", backend},
    {"[[route]]", "upstream", "; a SOCKS5 server that reaches the backend is named in 'via'"},
    {"[[route]]", "socks", "; a SOCKS5 server that reaches the backend is named in 'via'"},
    {"[[route]]", "source", "; the address to connect from is its 'bind_address'"},
    {"[[route]]", "usesrc", "; transparent = true connects from the client's own address"},
    {"[[route]]", "proxy_pass", backend},
    {"[[route]]", "target", backend},
    {"[[route]]", "address", backend},
    {"[[route]]", "service", backend},
    {"[[route]]", "host", names},
    {"[[route]]", "hosts", names},
    {"[[route]]", "hostname", names},
    {"[[route]]", "domain", names},
    {"[[route]]", "domains", names},
    {"[[route]]", "server_name", names},
    {"[[route]]", "sni", names},
    {"[[route]]", "match", names},
    {"[[route]]", "rule", names},
    {"[[route]]", "proxy_protocol", send_proxy},
    {"[[route]]", "send_proxy_v2", send_proxy},
    {"[[route]]", "balance", balance},
    {"[[route]]", "weight", balance},
    {"[[route]]", "certificate", passthrough},
    {"[[route]]", "tls", passthrough},
    {"[[listener]]", "listen", address},
    {"[[listener]]", "bind", address},
    {"[[listener]]", "port", address},
    {"[[listener]]", "host", address},
    {"[[listener]]", "mode", "; \"tls\" or \"http\" is its 'protocol'"},
    {"[[listener]]", "proxy_protocol", accept_proxy},
    {"[[listener]]", "accept_proxy", accept_proxy},
    {"[[listener]]", "accept_proxy_protocol", accept_proxy},
    {"[[listener]]", "default", any_name},
    {"[[listener]]", "fallback", any_name},
    {"[[listener]]", "ssl", passthrough},
    {"[[listener]]", "tls", passthrough},
    {"[[listener]]", "cert", passthrough},
    {"[[listener]]", "certificate", passthrough},
    {"[[listener]]", "ssl_certificate", passthrough},
    {"[server]", "listen", "; a [[listener]] says where clients connect"},
    {"[server]", "user", "; the service manager sets the user"},
    {"[server]", "threads", "; threads are 'workers'"},
    {"[server]", "worker_processes", "; threads are 'workers'"},
    {"[server]", "nbthread", "; threads are 'workers'"},
    {"[timeouts]", "client", idle},
    {"[timeouts]", "server", idle},
    {"[timeouts]", "tunnel", idle},
    {"[timeouts]", "read", idle},
    {"[timeouts]", "handshake", "; for the first flight there is 'hello'"},
    {"[timeouts]", "shutdown", "; for the end of the proxy there is 'drain'"},
    {"[limits]", "maxconn", "; connections in total are 'connections'"},
    {"[limits]", "max_connections", "; connections in total are 'connections'"},
    {"[dns]", "resolver", "; resolvers are 'servers'"},
    {"[dns]", "resolvers", "; resolvers are 'servers'"},
    {"[dns]", "nameserver", "; resolvers are 'servers'"},
    {"[dns]", "nameservers", "; resolvers are 'servers'"},
    {"[log]", "file", stderr_log},
    {"[log]", "path", stderr_log},
    {"[log]", "output", stderr_log},
};

}  // namespace

std::string_view foreign_key_hint(std::string_view table, std::string_view key) {
  const auto* found = std::ranges::find_if(
      foreign_keys, [&](const ForeignKey& each) { return each.table == table && each.key == key; });
  return found == std::end(foreign_keys) ? std::string_view() : found->hint;
}

}  // namespace sni
