#include "core/config/config_text.h"

// One function per table and one line per key, in the order of config.toml.example. A table without
// any shown key is left out.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "core/config/config_choices.h"
#include "core/config/duration.h"
#include "core/config/log_level.h"

namespace sni {
namespace {

using std::chrono::milliseconds;

// A value of the file, and whether it is the default.
struct Shown {
  std::string text;
  bool is_default;
};

std::string list_text(std::span<const std::string> items) {
  std::string text = "[";
  for (const std::string& item : items) text += (text.size() > 1 ? ", " : "") + item;
  return text + ']';
}

template <typename T, typename Format = std::identity>
Shown list(const std::vector<T>& values, const Format& format = {}) {
  std::vector<std::string> items;
  items.reserve(values.size());
  for (const T& value : values) items.push_back(toml_string(format(value)));
  return {.text = list_text(items), .is_default = values.empty()};
}
template <typename T>
Shown printed_list(const std::vector<T>& values) {
  return list(values, [](const T& value) { return value.to_string(); });
}

Shown flag(bool value, bool otherwise) {
  return {.text = value ? "true" : "false", .is_default = value == otherwise};
}
Shown number(std::uint64_t value, std::uint64_t otherwise) {
  return {.text = std::to_string(value), .is_default = value == otherwise};
}
Shown text(std::string_view value, std::string_view otherwise = {}) {
  return {.text = toml_string(value), .is_default = value == otherwise};
}
Shown duration(milliseconds value, milliseconds otherwise) {
  return text(format_duration(value), format_duration(otherwise));
}
// 0 is shown as "": the value comes from elsewhere.
Shown optional_duration(milliseconds value) {
  return text(value.count() == 0 ? std::string() : format_duration(value));
}
Shown size(std::uint64_t value, std::uint64_t otherwise) {
  return text(format_size(value), format_size(otherwise));
}
template <typename E, std::size_t N>
Shown choice(const std::array<Choice<E>, N>& all, E value, E otherwise) {
  return text(word_for(all, value), word_for(all, otherwise));
}

std::string entry_text(const AccessEntry& entry) {
  std::string text = entry.prefix.to_string();
  if (!entry.until) return text;
  const auto day = std::chrono::floor<std::chrono::days>(*entry.until);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(*entry.until - day);
  std::array<char, 96> until{};  // Six numbers of any size fit.
  std::snprintf(until.data(), until.size(), " until %04d-%02u-%02uT%02d:%02d:%02dZ",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
                static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()));
  return text += until.data();
}

std::string octal(std::uint32_t mode) {
  std::array<char, 16> digits{};
  std::snprintf(digits.data(), digits.size(), "%04o", mode);
  return digits.data();
}

std::string ports_text(const SourceConfig& source) {
  if (source.port_first == 0) return {};
  return std::to_string(source.port_first) + '-' + std::to_string(source.port_last);
}

Shown proxy_version(const ProxyForm& form) {
  return choice(choices::proxy_version, form.version, ProxyVersion::none);
}
Shown proxy_fields(const ProxyForm& form) {
  std::vector<std::string> fields;
  for (const auto& [name, field] : choices::proxy_field) {
    if (form.*field) fields.emplace_back(name);
  }
  return list(fields);
}

std::string backend_text(const Backend& backend) {
  std::string address = toml_string(backend.text);
  const bool proxy = backend.send_proxy.has_value();
  if (backend.weight == 1 && !backend.backup && backend.connections_max == 0 && !proxy) {
    return address;
  }
  std::string text = "{ address = " + address + ", weight = " + std::to_string(backend.weight) +
                     ", backup = " + (backend.backup ? "true" : "false") +
                     ", max_connections = " + std::to_string(backend.connections_max);
  if (proxy) {
    text += ", send_proxy = " + proxy_version(*backend.send_proxy).text +
            ", send_proxy_fields = " + proxy_fields(*backend.send_proxy).text;
  }
  return text + " }";
}

std::string access_text(const RouteAccessConfig& access) {
  return "{ block = " + list(access.block, entry_text).text +
         ", allow = " + list(access.allow, entry_text).text +
         ", default = " + choice(choices::access, access.default_allow, true).text + " }";
}

class ConfigWriter {
 public:
  ConfigWriter(ConfigKeys keys, InterfaceNames names) : keys_(keys), names_(names) {}
  std::string write(const Config& config);

 private:
  void write_listener(const ListenerConfig& listener);
  void write_route(const RouteConfig& route);
  void write_source(const SourceConfig& source);
  void write_upstream(const UpstreamConfig& upstream);
  void write_health(const HealthConfig& health);
  void write_timeouts(const TimeoutConfig& timeouts);
  void write_limits(const LimitConfig& limits);
  void write_tcp(const TcpConfig& tcp);
  void write_dns(const DnsConfig& dns);
  void write_fast_path(const FastPathConfig& fast_path);
  void write_access(const AccessConfig& access);
  void write_bans(const BansConfig& bans);
  void write_rest(const Config& config);

  // Sets the line of a table, which is printed before the first of its keys.
  void table(std::string line) { table_ = std::move(line); }
  void key(std::string_view name, const Shown& value) {
    if (keys_ == ConfigKeys::all || !value.is_default) always(name, value.text);
  }
  void always(std::string_view name, std::string_view value) {
    if (!table_.empty()) out_ += (out_.empty() ? "" : "\n") + std::exchange(table_, {}) + '\n';
    out_.append(name).append(" = ").append(value) += '\n';
  }

  ConfigKeys keys_;
  InterfaceNames names_;
  std::string table_;
  std::string out_;
};

std::string ConfigWriter::write(const Config& config) {
  const Config otherwise;
  table("[server]");
  key("workers", number(config.workers, otherwise.workers));
  key("pin_workers", flag(config.pin_workers, otherwise.pin_workers));
  key("abort_on_close", flag(config.abort_on_close, otherwise.abort_on_close));
  key("user", text(config.user));
  key("group", text(config.group));
  for (const ListenerConfig& listener : config.listeners) write_listener(listener);
  for (const RouteConfig& route : config.routes) write_route(route);
  for (const UpstreamConfig& upstream : config.upstreams) write_upstream(upstream);
  for (const HealthConfig& health : config.healths) write_health(health);
  write_timeouts(config.timeouts);
  write_limits(config.limits);
  table("[answers]");
  key("alerts", flag(config.answers.alerts, otherwise.answers.alerts));
  write_tcp(config.tcp);
  write_dns(config.dns);
  write_fast_path(config.fast_path);
  write_access(config.access);
  write_bans(config.bans);
  write_rest(config);
  return std::move(out_);
}

void ConfigWriter::write_listener(const ListenerConfig& listener) {
  const ListenerConfig otherwise;
  table("[[listener]]");
  always("name", toml_string(listener.name));
  always("address", toml_string(listener.address.to_string(names_)));
  key("v6only", flag(listener.v6only, otherwise.v6only));
  key("protocol", choice(choices::protocol, listener.protocol, otherwise.protocol));
  key("strip_port", flag(listener.strip_port, otherwise.strip_port));
  key("freebind", flag(listener.freebind, otherwise.freebind));
  key("idle", optional_duration(listener.idle));
  key("accept_proxy_from", printed_list(listener.accept_proxy_from));
}

void ConfigWriter::write_route(const RouteConfig& route) {
  const RouteConfig otherwise;
  table("[[route]]");
  always("names", list(route.names).text);
  std::vector<std::string> backends;
  for (const Backend& backend : route.backends) backends.push_back(backend_text(backend));
  if (backends.size() == 1) always("backend", backends.front());
  if (backends.size() > 1) always("backend", list_text(backends));
  key("balance", choice(choices::balance, route.balance, otherwise.balance));
  key("retries", number(route.retries, otherwise.retries));
  key("queue", number(route.queue, otherwise.queue));
  always("listeners", list(route.listeners).text);
  key("alpn", list(route.alpn));
  key("allow_private", flag(route.allow_private, otherwise.allow_private));
  key("refuse", choice(choices::refuse, route.refuse, otherwise.refuse));
  key("redirect", choice(choices::redirect, route.redirect, otherwise.redirect));
  key("redirect_except_acme", flag(route.redirect_except_acme, otherwise.redirect_except_acme));
  key("idle", optional_duration(route.idle));
  key("connect", optional_duration(route.connect));
  key("connections", number(route.connections, otherwise.connections));
  key("access",
      {.text = access_text(route.access), .is_default = route.access == otherwise.access});
  key("send_proxy", proxy_version(route.send_proxy));
  key("send_proxy_fields", proxy_fields(route.send_proxy));
  key("via", text(route.via));
  key("health", text(route.health));
  write_source(route.source);
}

void ConfigWriter::write_source(const SourceConfig& source) {
  const SourceConfig otherwise;
  key("bind_address", printed_list(source.addresses));
  key("bind_interface", text(source.interface));
  key("mark", number(source.mark, otherwise.mark));
  key("transparent", flag(source.transparent, otherwise.transparent));
  key("source_ports", text(ports_text(source)));
}

void ConfigWriter::write_upstream(const UpstreamConfig& upstream) {
  table("[[upstream]]");
  always("name", toml_string(upstream.name));
  always("address", toml_string(upstream.address.text));
  key("username", text(upstream.login.username));
  key("password_file", text(upstream.password_file));
}

void ConfigWriter::write_health(const HealthConfig& health) {
  const HealthConfig otherwise;
  table("[[health]]");
  always("name", toml_string(health.name));
  key("check", choice(choices::health_check, health.check, otherwise.check));
  key("interval", duration(health.interval, otherwise.interval));
  key("timeout", duration(health.timeout, otherwise.timeout));
  key("rise", number(health.rise, otherwise.rise));
  key("fall", number(health.fall, otherwise.fall));
  key("jitter", number(health.jitter, otherwise.jitter));
}

void ConfigWriter::write_timeouts(const TimeoutConfig& timeouts) {
  const TimeoutConfig otherwise;
  table("[timeouts]");
  key("hello", duration(timeouts.hello, otherwise.hello));
  key("connect", duration(timeouts.connect, otherwise.connect));
  key("attempt_delay", duration(timeouts.attempt_delay, otherwise.attempt_delay));
  key("queue", duration(timeouts.queue, otherwise.queue));
  key("setup", duration(timeouts.setup, otherwise.setup));
  key("idle", duration(timeouts.idle, otherwise.idle));
  key("half_closed", duration(timeouts.half_closed, otherwise.half_closed));
  key("drain", duration(timeouts.drain, otherwise.drain));
}

void ConfigWriter::write_limits(const LimitConfig& limits) {
  const LimitConfig otherwise;
  table("[limits]");
  key("connections", number(limits.connections, otherwise.connections));
  key("connections_per_source",
      number(limits.connections_per_source, otherwise.connections_per_source));
  key("pending_hellos", number(limits.pending_hellos, otherwise.pending_hellos));
  key("hello_bytes", size(limits.hello_bytes, otherwise.hello_bytes));
  key("hello_memory", size(limits.hello_memory, otherwise.hello_memory));
  key("relay_memory", size(limits.relay_memory, otherwise.relay_memory));
}

void ConfigWriter::write_tcp(const TcpConfig& tcp) {
  const TcpConfig otherwise;
  table("[tcp]");
  key("keepalive_idle", duration(tcp.keepalive_idle, otherwise.keepalive_idle));
  key("keepalive_interval", duration(tcp.keepalive_interval, otherwise.keepalive_interval));
  key("keepalive_probes", number(tcp.keepalive_probes, otherwise.keepalive_probes));
  key("user_timeout", duration(tcp.user_timeout, otherwise.user_timeout));
}

void ConfigWriter::write_dns(const DnsConfig& dns) {
  const DnsConfig otherwise;
  table("[dns]");
  key("servers", list(dns.servers, [this](const Endpoint& at) { return at.to_string(names_); }));
  key("family", choice(choices::families, dns.family, otherwise.family));
  key("timeout", duration(dns.timeout, otherwise.timeout));
  key("tries", number(dns.tries, otherwise.tries));
  key("cache_entries", number(dns.cache_entries, otherwise.cache_entries));
  key("ttl_min", duration(dns.ttl_min, otherwise.ttl_min));
  key("ttl_max", duration(dns.ttl_max, otherwise.ttl_max));
  key("negative_ttl", duration(dns.negative_ttl, otherwise.negative_ttl));
  key("stale", duration(dns.stale, otherwise.stale));
}

void ConfigWriter::write_fast_path(const FastPathConfig& fast_path) {
  const FastPathConfig otherwise;
  table("[fast_path]");
  key("mode", choice(choices::fast_path, fast_path.mode, otherwise.mode));
  key("packet_after_bytes", size(fast_path.packet_after_bytes, otherwise.packet_after_bytes));
  key("packet_after", duration(fast_path.packet_after, otherwise.packet_after));
  key("packet_far_clients",
      choice(choices::far_clients, fast_path.packet_far_clients, otherwise.packet_far_clients));
  key("packet_flows", number(fast_path.packet_flows, otherwise.packet_flows));
  key("interfaces", list(fast_path.interfaces));
  key("same_host", flag(fast_path.same_host, otherwise.same_host));
  key("after_bytes", size(fast_path.after_bytes, otherwise.after_bytes));
  key("after", duration(fast_path.after, otherwise.after));
  key("backlog", size(fast_path.backlog, otherwise.backlog));
  key("object_file", text(fast_path.object_file));
  key("dns_pin", text(fast_path.dns_pin));
  key("pin", text(fast_path.pin));
  key("drain_spliced", flag(fast_path.drain_spliced, otherwise.drain_spliced));
}

void ConfigWriter::write_access(const AccessConfig& access) {
  const AccessConfig otherwise;
  table("[access]");
  key("block", list(access.block, entry_text));
  key("block_file", text(access.block_file));
  key("block_file_errors",
      choice(choices::block_file_errors, access.block_file_errors, otherwise.block_file_errors));
  key("allow", list(access.allow, entry_text));
  key("scope", choice(choices::scope, access.scope, otherwise.scope));
  key("default", choice(choices::access, access.default_allow, otherwise.default_allow));
}

void ConfigWriter::write_bans(const BansConfig& bans) {
  const BansConfig otherwise;
  table("[bans]");
  key("connections_per_second",
      number(bans.connections_per_second, otherwise.connections_per_second));
  key("refused_per_minute", number(bans.refused_per_minute, otherwise.refused_per_minute));
  key("bad_hellos_per_minute", number(bans.bad_hellos_per_minute, otherwise.bad_hellos_per_minute));
  key("duration", duration(bans.duration, otherwise.duration));
  key("duration_max", duration(bans.duration_max, otherwise.duration_max));
  key("ipv6_prefix", number(bans.ipv6_prefix, otherwise.ipv6_prefix));
}

void ConfigWriter::write_rest(const Config& config) {
  const Config otherwise;
  table("[xdp]");
  key("interfaces", list(config.xdp.interfaces));
  key("mode", choice(choices::xdp_mode, config.xdp.mode, otherwise.xdp.mode));
  table("[control]");
  key("socket", text(config.control.socket, otherwise.control.socket));
  key("mode", text(octal(config.control.mode), octal(otherwise.control.mode)));
  key("group", text(config.control.group));
  table("[metrics]");
  key("listen", text(config.metrics.listen));
  key("names", number(config.metrics.names, otherwise.metrics.names));
  key("sources", number(config.metrics.sources, otherwise.metrics.sources));
  table("[stats]");
  key("file", text(config.stats.file));
  key("interval", duration(config.stats.interval, otherwise.stats.interval));
  table("[log]");
  key("level", text(to_string(config.log.level), to_string(otherwise.log.level)));
  key("format", choice(choices::log_format, config.log.format, otherwise.log.format));
  key("access_file", text(config.log.access_file));
  key("access_sample", number(config.log.access_sample, otherwise.log.access_sample));
}

}  // namespace

std::string config_text(const Config& config, ConfigKeys keys, InterfaceNames names) {
  return ConfigWriter(keys, names).write(config);
}

std::string toml_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result.append("\\") += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      // TOML has no shorter form for these control characters.
      std::array<char, 7> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04X", static_cast<unsigned>(c));
      result += escape.data();
    } else {
      result += c;
    }
  }
  return result + '"';
}

}  // namespace sni
