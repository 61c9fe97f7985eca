#pragma once

// The contents of a configuration file as plain values that can be compared: no pointers, and no
// behaviour except what follows from several values. config_file.h reads it and collects every
// mistake. A Config that exists is valid.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/address/address.h"
#include "core/guard/access_entry.h"
#include "core/hello/first_flight.h"
#include "core/proxy_protocol/proxy_form.h"
#include "core/socks5/socks_login.h"

namespace sni {

struct ListenerConfig {
  std::string name;
  Endpoint address;
  bool v6only = false;  // [::] takes both families unless set.
  Protocol protocol = Protocol::tls;
  bool freebind = false;              // Listens on an address that the host does not have yet.
  bool strip_port = false;            // As in FlightOptions.
  std::chrono::milliseconds idle{0};  // 0: the value of [timeouts].
  // Proxies that announce their clients by the PROXY protocol. They must do so on every connection.
  std::vector<IpPrefix> accept_proxy_from;
  bool is_proxy(const IpAddress& source) const;
  auto operator<=>(const ListenerConfig&) const = default;
};

// Where a route leads. `text` is the address as the file has it, for logs.
struct Backend {
  enum class Kind : std::uint8_t {
    address,         // endpoint
    name,            // host and port, resolved by DNS
    unix_path,       // host is the path
    requested_name,  // "{name}:443": the name the client asked for, and port
    captured_name,   // "\\1.internal:443": host, with groups of the expression that matched
    // "srv:_https._tcp.example.internal": host, whose targets are in DNS (RFC 2782)
    service,
  };
  Kind kind = Kind::address;
  Endpoint endpoint;
  std::string host;  // A name is in lower case, with its trailing dot if it has one.
  std::uint16_t port = 0;
  std::string text;
  // Set by its route.
  std::uint32_t weight = 1;  // Its share of the connections, relative to the others.
  bool backup = false;       // Used only while no other backend can be reached.
  // Concurrent connections of the whole process, over all routes that name it; 0: unlimited.
  std::uint32_t connections_max = 0;
  std::optional<ProxyForm> send_proxy = std::nullopt;  // Set by its route.
  // Whether the client influences the name.
  bool is_of_client() const { return kind == Kind::requested_name || kind == Kind::captured_name; }
  bool operator==(const Backend&) const = default;
};

// How a route spreads its connections over its backends, and over the addresses of each.
enum class Balance : std::uint8_t {
  first,              // The first one that can be reached.
  round_robin,        // In turn.
  least_connections,  // The one with the fewest.
  random_two,         // The one with fewer of two picked at random.
  source_hash,        // The same one for the same source address.
};

// What a route does with its clients instead of serving them.
enum class Refuse : std::uint8_t {
  no,
  alert,  // An alert, or an HTTP error.
  close,  // A FIN without an answer.
  drop,   // Nothing at all is sent, where the system allows that.
};
enum class Redirect : std::uint8_t { no, https };

// Where connections to backends come from. The system chooses what is not set.
struct SourceConfig {
  std::vector<IpAddress> addresses;  // At most one of each family.
  std::string interface;
  std::uint32_t mark = 0;        // SO_MARK; 0: none.
  bool transparent = false;      // The client's own address, in place of `addresses`.
  std::uint16_t port_first = 0;  // Local ports, both inclusive; 0: the system's.
  std::uint16_t port_last = 0;
  bool is_set() const {
    return !addresses.empty() || !interface.empty() || mark != 0 || transparent || port_first != 0;
  }
  bool operator==(const SourceConfig&) const = default;
};

// A SOCKS5 server through which routes reach their backends.
struct UpstreamConfig {
  std::string name;
  Backend address;
  SocksLogin login;           // The password comes from password_file.
  std::string password_file;  // Empty: none.
  bool operator==(const UpstreamConfig&) const = default;
};

// How a backend is checked while no client uses it.
enum class HealthCheck : std::uint8_t {
  tcp,  // It accepts a connection.
  tls,  // It answers a ClientHello, with anything but an alert.
};
struct HealthConfig {
  std::string name;
  HealthCheck check = HealthCheck::tcp;
  // From the start of one check to the start of the next.
  std::chrono::milliseconds interval{5'000};
  std::chrono::milliseconds timeout{2'000};  // For one check.
  std::uint32_t rise = 2;                    // It is up after so many passes in a row,
  std::uint32_t fall = 3;                    // and down after so many failures in a row.
  std::uint32_t jitter = 10;                 // Percent by which the interval may vary.
  bool operator==(const HealthConfig&) const = default;
};

// Which sources a route serves, in the terms of [access].
struct RouteAccessConfig {
  std::vector<AccessEntry> block;
  std::vector<AccessEntry> allow;  // Wins over block.
  bool default_allow = true;
  bool is_set() const { return !block.empty() || !default_allow; }
  bool operator==(const RouteAccessConfig&) const = default;
};

struct RouteConfig {
  // Lower case, no trailing dot: "a.example", "*.example", "*", and "-" for clients without a name;
  // "/expression/" as it is written.
  std::vector<std::string> names;
  std::vector<Backend> backends;       // Empty where the route refuses or redirects.
  std::vector<std::string> listeners;  // Never empty once read.
  std::vector<std::string> alpn;       // Empty: any.
  bool allow_private = false;  // Backends that clients name may have private and own addresses.
  Refuse refuse = Refuse::no;  // Every client, or where `access` is set those it refuses.
  Redirect redirect = Redirect::no;
  Balance balance = Balance::first;
  std::uint32_t retries = 1;  // After backends that close before they have sent a byte.
  // Connections that may wait at each of its backends.
  std::uint32_t queue = limits::queue_default;
  bool redirect_except_acme = false;     // ACME challenges go to the backend.
  std::chrono::milliseconds idle{0};     // 0: the listener's.
  std::chrono::milliseconds connect{0};  // 0: that of [timeouts].
  std::uint32_t connections = 0;         // Concurrent, of the whole process; 0: unlimited.
  RouteAccessConfig access;
  ProxyForm send_proxy;
  std::string via;     // The upstream's name; empty: backends are reached directly.
  std::string health;  // The health check's name; empty: not checked.
  SourceConfig source;
  bool operator==(const RouteConfig&) const = default;
};

struct TimeoutConfig {
  std::chrono::milliseconds hello{5'000};
  std::chrono::milliseconds connect{5'000};      // Per address.
  std::chrono::milliseconds attempt_delay{250};  // Until the next address is tried beside it.
  std::chrono::milliseconds queue{5'000};        // For a place at a backend that is full.
  std::chrono::milliseconds setup{
      30'000};  // From the hello to the backend, over all tries, without the queue.
  std::chrono::milliseconds idle{600'000};
  // In place of idle once one side has sent its FIN.
  std::chrono::milliseconds half_closed{600'000};
  std::chrono::milliseconds drain{30'000};
  bool operator==(const TimeoutConfig&) const = default;
};

struct LimitConfig {
  std::uint32_t connections = 0;             // 0: as many as the file descriptors allow.
  std::uint32_t connections_per_source = 0;  // 0: off.
  std::uint32_t pending_hellos = 10'000;     // Connections whose hello is not complete.
  std::uint64_t hello_bytes = limits::hello_bytes_default;  // Of one ClientHello.
  // Bytes of all incomplete first flights.
  std::uint64_t hello_memory = 64ull << 20;
  std::uint64_t relay_memory = 256ull << 20;  // Bytes held in userspace for readers that stall.
  bool operator==(const LimitConfig&) const = default;
};

// Which addresses of a name are looked up and tried.
enum class AddressFamilies : std::uint8_t {
  any,  // Alternating, IPv6 first.
  ipv4,
  ipv6,
  prefer_ipv4,  // IPv6 only after all of IPv4.
};

struct AnswersConfig {
  bool alerts = true;  // A TLS hello that cannot be used gets an alert.
  bool operator==(const AnswersConfig&) const = default;
};

// Of the sockets to clients and to backends.
struct TcpConfig {
  std::chrono::milliseconds keepalive_idle{60'000};
  std::chrono::milliseconds keepalive_interval{30'000};
  std::uint32_t keepalive_probes = 4;
  std::chrono::milliseconds user_timeout{0};  // 0: the kernel's own.
  bool operator==(const TcpConfig&) const = default;
};

struct DnsConfig {
  std::vector<Endpoint> servers;  // Empty: those of /etc/resolv.conf.
  AddressFamilies family = AddressFamilies::any;
  std::chrono::milliseconds timeout{2'000};  // Per try.
  unsigned tries = 2;
  std::uint32_t cache_entries = 10'000;
  std::chrono::milliseconds ttl_min{1'000};
  std::chrono::milliseconds ttl_max{3'600'000};
  std::chrono::milliseconds negative_ttl{5'000};
  std::chrono::milliseconds stale{3'600'000};  // How long past its TTL an answer may be used.
  bool operator==(const DnsConfig&) const = default;
};

enum class FastPathMode : std::uint8_t { automatic, packet, sockhash, userspace };

// Whether the packet plane may have clients that are far from a near backend.
enum class FarClients : std::uint8_t {
  automatic,  // Unless this host's congestion control is BBR.
  always,
  never,
};

struct FastPathConfig {
  FastPathMode mode = FastPathMode::automatic;
  bool same_host = true;  // false: backends on this host are treated as remote ones.
  // A pair goes to the kernel after this many bytes from its backend, or after this time.
  std::uint64_t after_bytes = 16 * 1024;
  std::chrono::milliseconds after{1'000};
  // The same for the packet plane, where bytes from both sides count.
  std::uint64_t packet_after_bytes = 64 * 1024;
  std::chrono::milliseconds packet_after{200};
  FarClients packet_far_clients = FarClients::automatic;
  std::uint32_t packet_flows = 65'536;  // Table size; further flows stay in the relay.
  std::vector<std::string> interfaces;  // Where the packet plane may attach; empty: anywhere.
  // Bytes redirected to a client and not sent yet; remote backends.
  std::uint64_t backlog = 8 << 20;
  std::string object_file;  // BPF object to load instead of the built-in one.
  std::string dns_pin;      // Directory where DNS_CACHE is pinned; empty: not pinned.
  std::string pin;  // The same for the packet plane's flows, which then outlive the process.
  bool drain_spliced = true;  // false: SIGTERM leaves pinned flows to the next process.
  bool operator==(const FastPathConfig&) const = default;
};

// What a block covers.
enum class BlockScope : std::uint8_t {
  host,       // Every packet of a blocked source, where XDP is attached.
  listeners,  // The proxy's own ports.
};

enum class BlockFileErrors : std::uint8_t { strict, skip };

struct AccessConfig {
  std::vector<AccessEntry> block;
  std::string block_file;  // Further entries, one a line; empty: none.
  BlockFileErrors block_file_errors = BlockFileErrors::strict;
  std::vector<AccessEntry> allow;  // Wins over block.
  BlockScope scope = BlockScope::host;
  bool default_allow = true;
  bool operator==(const AccessConfig&) const = default;
};

// Sources that the proxy bans by itself: how much is too much (0: no limit), and for how long.
struct BansConfig {
  std::uint32_t connections_per_second = 0;
  std::uint32_t refused_per_minute = 0;  // Refusals by limits.connections_per_source.
  std::uint32_t bad_hellos_per_minute = 0;
  std::chrono::milliseconds duration{60'000};  // Doubles with each repetition.
  std::chrono::milliseconds duration_max{86'400'000};
  std::uint8_t ipv6_prefix = 64;  // Bits.
  bool operator==(const BansConfig&) const = default;
};

enum class XdpMode : std::uint8_t { automatic, native, generic };

struct XdpConfig {
  std::vector<std::string> interfaces;
  XdpMode mode = XdpMode::automatic;
  bool operator==(const XdpConfig&) const = default;
};

struct ControlConfig {
  std::string socket = "/run/sni-proxy/control.sock";
  std::string group;          // Of the socket; empty: the process's.
  std::uint32_t mode = 0600;  // Of the socket.
  bool operator==(const ControlConfig&) const = default;
};

struct MetricsConfig {
  std::string listen;  // "address:port" or "unix:/path"; empty: nothing is exported.
  // How many server names and sources get their own labels; 0: none are exported.
  std::uint32_t names = 0;
  std::uint32_t sources = 0;
  bool operator==(const MetricsConfig&) const = default;
};

struct StatsConfig {
  std::string file;  // Where traffic counts are kept over a restart; empty: nowhere.
  std::chrono::milliseconds interval = std::chrono::minutes(1);
  bool operator==(const StatsConfig&) const = default;
};

enum class LogLevel : std::uint8_t { debug, info, warning, error };
enum class LogFormat : std::uint8_t { text, json };

struct LogConfig {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::text;
  std::string access_file;          // Receives the access lines; empty: they go to the main log.
  std::uint32_t access_sample = 1;  // Of connections that ended well, one in so many is logged.
  bool operator==(const LogConfig&) const = default;
};

struct Config {
  std::uint32_t workers = 0;    // 0: one per CPU.
  bool pin_workers = false;     // Each runs on one CPU and accepts connections that arrive there.
  bool abort_on_close = false;  // A client's FIN before a backend is connected ends the connection.
  std::string user;             // Which a proxy started as root switches to; empty: it stays root.
  std::string group;            // Likewise; empty: the user's.
  std::vector<ListenerConfig> listeners;
  std::vector<RouteConfig> routes;
  std::vector<UpstreamConfig> upstreams;
  std::vector<HealthConfig> healths;
  TimeoutConfig timeouts;
  LimitConfig limits;
  AnswersConfig answers;
  TcpConfig tcp;
  DnsConfig dns;
  FastPathConfig fast_path;
  AccessConfig access;
  BansConfig bans;
  XdpConfig xdp;
  ControlConfig control;
  MetricsConfig metrics;
  StatsConfig stats;
  LogConfig log;
  // The interfaces that addresses name ("%eth0"), with their indices when the file was read.
  std::map<std::string, std::uint32_t, std::less<>> interfaces;
  bool operator==(const Config&) const = default;
};

// Puts new indices of interfaces (old to new) into all addresses that have a scope, and into
// `interfaces`.
void renumber_interfaces(Config& config, const std::map<std::uint32_t, std::uint32_t>& moved);

// How long a backend address of this route may take to answer a connect.
std::chrono::milliseconds connect_timeout(const TimeoutConfig& timeouts, const RouteConfig& route);

// How long bytes may not move in an established connection.
struct IdleTimeouts {
  std::chrono::milliseconds idle{};
  std::chrono::milliseconds half_closed{};  // Once one side has sent its FIN; at most `idle`.
};
// Those of connections with this listener and route.
IdleTimeouts idle_timeouts(const TimeoutConfig& timeouts, const ListenerConfig& listener,
                           const RouteConfig& route);

}  // namespace sni
