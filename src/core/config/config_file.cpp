#include "core/config/config_file.h"

// One function per table and one line per key: to add a key, add its field to config.h, its line
// here, or for routes and what they name in config_file_routes.cpp, and its lines to
// config.toml.example. Checks between keys are in config_check.cpp.

#include <chrono>

#include "core/config/config_check.h"
#include "core/config/config_choices.h"
#include "core/config/config_forms.h"
#include "core/config/config_reader.h"
#include "core/config/log_level.h"
#include "core/limits.h"
#include "core/traffic/traffic.h"

namespace sni {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t connections_max = 10'000'000;
constexpr std::uint32_t bans_rate_max = 1'000'000;
constexpr std::uint32_t packet_flows_max = 4 * 1024 * 1024;  // 2 GiB of the kernel's memory.

const Form<LogLevel> log_level_form = parse_log_level;

}  // namespace

void ConfigReader::read(TableReader& root) {
  // take_includes() has already read them and leaves their mistakes to us.
  root.read_one_or_list<std::string>("include", forms::include_pattern);
  root.read_table("server", [this](TableReader& table) {
    table.read("workers", config_.workers, 0, limits::workers_max);
    table.read("pin_workers", config_.pin_workers);
    table.read("abort_on_close", config_.abort_on_close);
    table.read<std::string>("user", config_.user, forms::user);
    places_.accounts.user = table.position_of("user");
    table.read<std::string>("group", config_.group, forms::group);
    places_.accounts.group = table.position_of("group");
  });
  root.read_tables("listener", [this](TableReader& table) { read_listener(table); });
  root.read_tables("route", [this](TableReader& table) { read_route(table); });
  root.read_tables("upstream", [this](TableReader& table) { read_upstream(table); });
  root.read_tables("health", [this](TableReader& table) { read_health(table); });
  root.read_table("timeouts", [this](TableReader& table) { read_timeouts(table); });
  root.read_table("limits", [this](TableReader& table) { read_limits(table); });
  root.read_table("answers",
                  [this](TableReader& table) { table.read("alerts", config_.answers.alerts); });
  root.read_table("tcp", [this](TableReader& table) { read_tcp(table); });
  root.read_table("dns", [this](TableReader& table) { read_dns(table); });
  root.read_table("fast_path", [this](TableReader& table) { read_fast_path(table); });
  root.read_table("access", [this](TableReader& table) { read_access(table); });
  root.read_table("bans", [this](TableReader& table) { read_bans(table); });
  root.read_table("xdp", [this](TableReader& table) {
    config_.xdp.interfaces =
        values_of(table.read_list<std::string>("interfaces", forms::interface));
    table.read("mode", config_.xdp.mode, forms::choice(choices::xdp_mode));
  });
  root.read_table("control", [this](TableReader& table) {
    ControlConfig& control = config_.control;
    table.read<std::string>("socket", control.socket, forms::socket_path);
    table.read<std::string>("group", control.group, forms::group);
    places_.accounts.control_group = table.position_of("group");
    table.read<std::uint32_t>("mode", control.mode, forms::socket_mode);
  });
  root.read_table("metrics", [this](TableReader& table) {
    table.read<std::string>("listen", config_.metrics.listen,
                            with_interface(forms::metrics_address));
    places_.metrics = table.position_of("listen");
    table.read("names", config_.metrics.names, 0, limits::traffic_top_max);
    table.read("sources", config_.metrics.sources, 0, limits::traffic_top_max);
  });
  root.read_table("stats", [this](TableReader& table) {
    table.read<std::string>("file", config_.stats.file, forms::optional_path);
    places_.outputs.stats_file = table.position_of("file");
    table.read("interval", config_.stats.interval, forms::duration(1s, 24h));
  });
  root.read_table("log", [this](TableReader& table) {
    table.read("level", config_.log.level, log_level_form);
    table.read("format", config_.log.format, forms::choice(choices::log_format));
    table.read<std::string>("access_file", config_.log.access_file, forms::optional_path);
    places_.outputs.access_file = table.position_of("access_file");
    table.read("access_sample", config_.log.access_sample, 1, 1'000'000);
  });
  root.reject_unknown();
  use_default_listeners();
}

void ConfigReader::read_listener(TableReader& table) {
  ListenerConfig listener;
  const Position at = table.position();
  ConfigPlaces::Listener place{.table = at, .name = at, .address = at, .accept_proxy_from = at};
  table.require("name");
  table.require("address");
  place.name = table.read<std::string>("name", listener.name, forms::listener_name).value_or(at);
  place.address =
      table.read<Endpoint>("address", listener.address, with_interface(forms::listen_address))
          .value_or(at);
  table.read("v6only", listener.v6only);
  table.read("protocol", listener.protocol, forms::choice(choices::protocol));
  table.read("strip_port", listener.strip_port);
  table.read("freebind", listener.freebind);
  table.read("idle", listener.idle, forms::optional_duration(idle_min, idle_max));
  listener.accept_proxy_from =
      values_of(table.read_list<IpPrefix>("accept_proxy_from", forms::prefix));
  place.accept_proxy_from = table.position_of("accept_proxy_from");
  config_.listeners.push_back(std::move(listener));
  places_.listeners.push_back(place);
}

void ConfigReader::read_timeouts(TableReader& table) {
  TimeoutConfig& timeouts = config_.timeouts;
  places_.timeouts = table.position();
  table.read("hello", timeouts.hello, forms::duration(10ms, 1h));
  table.read("connect", timeouts.connect, forms::duration(10ms, 1h));
  table.read("attempt_delay", timeouts.attempt_delay, forms::duration(10ms, 1h));
  table.read("queue", timeouts.queue, forms::duration(10ms, 1h));
  table.read("setup", timeouts.setup, forms::duration(10ms, 1h));
  table.read("idle", timeouts.idle, forms::duration(idle_min, idle_max));
  table.read("half_closed", timeouts.half_closed, forms::duration(idle_min, idle_max));
  table.read("drain", timeouts.drain, forms::duration(0ms, 24h));
}

void ConfigReader::read_limits(TableReader& table) {
  LimitConfig& limits = config_.limits;
  places_.limits = table.position();
  table.read("connections", limits.connections, 0, connections_max);
  table.read("connections_per_source", limits.connections_per_source, 0, connections_max);
  table.read("pending_hellos", limits.pending_hellos, 1, connections_max);
  table.read_size("hello_bytes", limits.hello_bytes,
                  forms::size(limits::hello_bytes_min, limits::hello_bytes_max));
  table.read_size("hello_memory", limits.hello_memory, forms::size(1ull << 20, 1ull << 40));
  table.read_size("relay_memory", limits.relay_memory, forms::size(1ull << 20, 1ull << 40));
}

void ConfigReader::read_tcp(TableReader& table) {
  TcpConfig& tcp = config_.tcp;
  // The kernel accepts whole seconds, at most 32767 (MAX_TCP_KEEPIDLE), and at most 127 probes.
  table.read("keepalive_idle", tcp.keepalive_idle, forms::seconds(1s, 9h));
  table.read("keepalive_interval", tcp.keepalive_interval, forms::seconds(1s, 9h));
  table.read("keepalive_probes", tcp.keepalive_probes, 1, 127);
  table.read("user_timeout", tcp.user_timeout, forms::duration(0ms, 168h));
}

void ConfigReader::read_dns(TableReader& table) {
  DnsConfig& dns = config_.dns;
  places_.dns = table.position();
  dns.servers = values_of(table.read_list("servers", with_interface(forms::dns_server)));
  table.read("family", dns.family, forms::choice(choices::families));
  table.read("timeout", dns.timeout, forms::duration(10ms, 1min));
  table.read("tries", dns.tries, 1, 10);
  table.read("cache_entries", dns.cache_entries, 1, 10'000'000);
  table.read("ttl_min", dns.ttl_min, forms::duration(0ms, 24h));
  table.read("ttl_max", dns.ttl_max, forms::duration(1s, 168h));
  table.read("negative_ttl", dns.negative_ttl, forms::duration(0ms, 1h));
  table.read("stale", dns.stale, forms::duration(0ms, 168h));
}

void ConfigReader::read_fast_path(TableReader& table) {
  FastPathConfig& fast_path = config_.fast_path;
  table.read("mode", fast_path.mode, forms::choice(choices::fast_path));
  table.read("same_host", fast_path.same_host);
  table.read_size("after_bytes", fast_path.after_bytes, forms::size(0, 1ull << 40));
  table.read("after", fast_path.after, forms::duration(0ms, 24h));
  table.read_size("backlog", fast_path.backlog, forms::size(64 * 1024, 1ull << 30));
  table.read_size("packet_after_bytes", fast_path.packet_after_bytes, forms::size(0, 1ull << 40));
  table.read("packet_after", fast_path.packet_after, forms::duration(0ms, 24h));
  table.read("packet_far_clients", fast_path.packet_far_clients,
             forms::choice(choices::far_clients));
  table.read("packet_flows", fast_path.packet_flows, 1, packet_flows_max);
  fast_path.interfaces = values_of(table.read_list<std::string>("interfaces", forms::interface));
  table.read<std::string>("object_file", fast_path.object_file, forms::optional_path);
  table.read<std::string>("dns_pin", fast_path.dns_pin, forms::optional_path);
  table.read<std::string>("pin", fast_path.pin, forms::optional_path);
  table.read("drain_spliced", fast_path.drain_spliced);
  places_.drain_spliced = table.position_of("drain_spliced");
}

void ConfigReader::read_access(TableReader& table) {
  AccessConfig& access = config_.access;
  places_.access = table.position();
  read_access_lists(table, access);
  table.read<std::string>("block_file", access.block_file, forms::optional_path);
  places_.block_file = table.position_of("block_file");
  table.read("block_file_errors", access.block_file_errors,
             forms::choice(choices::block_file_errors));
  table.read("scope", access.scope, forms::choice(choices::scope));
}

void ConfigReader::read_bans(TableReader& table) {
  BansConfig& bans = config_.bans;
  places_.bans = table.position();
  table.read("connections_per_second", bans.connections_per_second, 0, bans_rate_max);
  table.read("refused_per_minute", bans.refused_per_minute, 0, bans_rate_max);
  table.read("bad_hellos_per_minute", bans.bad_hellos_per_minute, 0, bans_rate_max);
  table.read("duration", bans.duration, forms::duration(1s, 24h * 365));
  table.read("duration_max", bans.duration_max, forms::duration(1s, 24h * 365));
  table.read("ipv6_prefix", bans.ipv6_prefix, 32, 128);
}

void ConfigReader::use_default_listeners() {
  std::vector<std::string> tls;
  for (const ListenerConfig& listener : config_.listeners) {
    if (listener.protocol == Protocol::tls) tls.push_back(listener.name);
  }
  for (RouteConfig& route : config_.routes) {
    if (route.listeners.empty()) route.listeners = tls;
  }
}

ConfigResult read_config(std::string_view text, std::string_view file_name,
                         const InterfaceLookup& interfaces, const IncludeFiles& files) {
  DiagnosticList diagnostics(file_name);
  ConfigResult result;
  if (auto document = parse_toml(text, diagnostics)) {
    const bool whole = take_includes(*document, text.size(), files, diagnostics);
    // What half a configuration lacks is no mistake.
    DiagnosticList of_half = diagnostics;
    TableReader root(*document, whole ? diagnostics : of_half);
    ConfigReader reader(interfaces);
    reader.read(root);
    result.config = reader.take();
    result.log_format = result.config->log.format;
    if (whole) check_config(*result.config, reader.places(), diagnostics);
    result.block_file = reader.places().block_file;
    result.accounts = reader.places().accounts;
    result.outputs = reader.places().outputs;
    for (const auto& upstream : reader.places().upstreams) {
      result.password_files.push_back(upstream.password_file);
    }
  }
  if (diagnostics.has_errors()) result.config.reset();
  result.files = diagnostics.files();
  result.diagnostics = diagnostics.take();
  return result;
}

std::vector<std::string> config_keys() {
  DiagnosticList ignored("");
  std::vector<std::string> keys;
  const TomlTable empty;
  TableReader root(empty, ignored, &keys);
  const InterfaceLookup no_interfaces;
  ConfigReader(no_interfaces).read(root);
  return keys;
}

}  // namespace sni
