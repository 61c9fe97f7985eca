// A configuration that is written and read again is the same.

#include "core/config/config_text.h"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "core/config/config_file.h"
#include "support/config_mistakes.h"

using namespace sni;

namespace {

// No key is at its default, except keys with only one suitable value.
constexpr std::string_view unusual = R"(
server = { workers = 3, pin_workers = true, abort_on_close = true }
answers.alerts = false
[[listener]]
name = "a"
address = "[::]:443"
v6only = true
freebind = true
idle = "1h"
accept_proxy_from = ["fd00::/8", "2001:db8::5"]
[[listener]]
name = "web"
address = "[fe80::1%2]:80"
protocol = "http"
strip_port = true
[[route]]
names = ["*.A.example", "-", '/^a"\d+\.example$/']
backend = ["10.0.0.5:1", { address = "b.example.:2", weight = 7, max_connections = 5 },
           { address = "10.0.0.6:1", send_proxy = "v2", send_proxy_fields = ["alpn"] },
           { address = "10.0.0.7:1", send_proxy = "no" },
           { address = "unix:/run/\"x\\y\u0001\u007f\u00e9.sock", backup = true }]
balance = "source_hash"
retries = 0
queue = 3
health = "h"
listeners = ["a"]
alpn = ["h2", "acme-tls/1"]
idle = "90s"
connect = "250ms"
connections = 7
access = { block = ["192.0.2.0/24"], allow = ["192.0.2.7 until 2030-01-01T00:00:00Z"], default = "deny" }
send_proxy = "v2"
send_proxy_fields = ["crc32c", "alpn"]
bind_address = ["192.0.2.1", "2001:db8::1"]
bind_interface = "eth0"
mark = 4294967295
source_ports = "40000-49999"
[[route]]
names = ["*"]
backend = "{name}:8443"
allow_private = true
via = "exit"
transparent = true
[[route]]
names = ["r.example"]
refuse = "drop"
[[route]]
names = ["*"]
listeners = ["web"]
redirect = "https"
redirect_except_acme = true
backend = "10.0.0.1:80"
[[health]]
name = "h"
check = "tls"
interval = "1m"
timeout = "1s"
rise = 3
fall = 4
jitter = 0
[[upstream]]
name = "exit"
address = "s.example:1080"
username = "u\u0000\t"
password_file = "/etc/p"
[timeouts]
hello = "1s"
connect = "2s"
attempt_delay = "30ms"
queue = "1s"
setup = "3s"
idle = "24h"
half_closed = "61s"
drain = "0ms"
[limits]
connections = 9
connections_per_source = 8
pending_hellos = 7
hello_bytes = 2000
hello_memory = "1MiB"
relay_memory = "1TiB"
[tcp]
keepalive_idle = "2s"
keepalive_interval = "3s"
keepalive_probes = 5
user_timeout = "1ms"
[dns]
servers = ["192.0.2.53", "[2001:db8::53]:5353"]
family = "prefer_ipv4"
timeout = "1s"
tries = 9
cache_entries = 1
ttl_min = "0s"
ttl_max = "2s"
negative_ttl = "0s"
stale = "0s"
[fast_path]
mode = "sockhash"
packet_after_bytes = 1
packet_after = "0s"
packet_far_clients = "never"
packet_flows = 2
interfaces = ["eth0", "br0"]
same_host = false
after_bytes = 3
after = "4s"
backlog = "64KiB"
object_file = "/o"
dns_pin = "/sys/fs/bpf/x"
pin = "/sys/fs/bpf/y"
drain_spliced = false
[access]
block = ["192.0.2.0/24", "2001:db8::/32 until 2026-12-01T01:02:03Z"]
block_file = "/b"
block_file_errors = "skip"
allow = ["192.0.2.7 until 2030-01-01T00:00:00Z"]
scope = "listeners"
default = "deny"
[bans]
connections_per_second = 1
refused_per_minute = 2
bad_hellos_per_minute = 3
duration = "2m"
duration_max = "8760h"
ipv6_prefix = 128
[xdp]
interfaces = ["eth1"]
mode = "generic"
[control]
socket = "/c"
mode = "0660"
group = "adm"
[metrics]
listen = "unix:/m"
[log]
level = "debug"
format = "json"
access_file = "/a"
)";

std::string example() {
  std::ifstream file(SNI_SOURCE_DIR "/config.toml.example");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void check_same(const Config& config) {
  for (const ConfigKeys keys : {ConfigKeys::all, ConfigKeys::changed}) {
    const std::string text = config_text(config, keys);
    CAPTURE(text);
    CHECK(read_valid(text) == config);
    CHECK(config_text(read_valid(text), keys) == text);
  }
}

}  // namespace

TEST_CASE("a configuration that is written and read again is the same") {
  check_same(read_valid(example()));
  check_same(read_valid(unusual));
  check_same(read_valid(config_base));
}

TEST_CASE("every key of the example is written, with its default") {
  const std::string text = config_text(read_valid(example()), ConfigKeys::all);
  for (const std::string& key : config_keys()) {
    if (key == "include" || key.find('.') == key.npos) continue;
    // Of a backend that is a plain string, and of those that refuse.
    if (key.starts_with("backend.")) continue;
    const std::string name = key.substr(key.find('.') + 1);
    CAPTURE(key);
    CHECK(text.find('\n' + name + " = ") != text.npos);
  }
}

TEST_CASE("interfaces of addresses are written by their names where these are known") {
  Config config;
  config.listeners.resize(1);
  config.listeners[0].address = *parse_endpoint("[fe80::1%2]:80");
  config.dns.servers = {*parse_endpoint("[fe80::5%2]:53"), *parse_endpoint("[fe80::5%3]:53")};
  const InterfaceNames names = [](std::uint32_t index) -> std::string {
    return index == 2 ? "eth0" : "";
  };
  const std::string named = config_text(config, ConfigKeys::changed, names);
  CHECK(named.find("address = \"[fe80::1%eth0]:80\"\n") != named.npos);
  CHECK(named.find("servers = [\"[fe80::5%eth0]:53\", \"[fe80::5%3]:53\"]\n") != named.npos);
  const std::string bare = config_text(config, ConfigKeys::changed);
  CHECK(bare.find("address = \"[fe80::1%2]:80\"\n") != bare.npos);
}

TEST_CASE("on request only keys that are not at their defaults are written") {
  const std::string text = config_text(read_valid(config_base), ConfigKeys::changed);
  CHECK(text ==
        "[[listener]]\nname = \"https\"\naddress = \"0.0.0.0:443\"\n\n"
        "[[route]]\nnames = [\"example.com\"]\nbackend = \"10.0.0.5:8443\"\n"
        "listeners = [\"https\"]\n");
}

TEST_CASE("the password of an upstream is not written") {
  Config config = read_valid(unusual);
  config.upstreams.at(0).login.password = "secret";
  CHECK(config_text(config, ConfigKeys::all).find("secret") == std::string::npos);
}
