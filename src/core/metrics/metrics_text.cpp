#include "core/metrics/metrics_text.h"

#include <array>
#include <functional>
#include <map>
#include <string_view>
#include <vector>

#include "core/session/totals.h"

namespace sni {

namespace {

// How the rows of totals are exported. `label`: for rows that have a reason.
struct Family {
  std::string_view name;
  std::string_view label;
  std::string_view help;
};
constexpr std::array families{
    Family{"accepted", "", "Connections accepted."},
    Family{"accept_errors", "", "Failures of accept(): out of descriptors or memory."},
    Family{"refused", "reason", "Connections closed at accept."},
    Family{"ended", "end", "Connections that have ended, as end= of the log."},
    Family{"client_bytes", "", "Bytes from clients to backends, of connections that have ended."},
    Family{"server_bytes", "", "Bytes from backends to clients, of connections that have ended."},
    Family{"races_put_off", "", "Connects beside another that waited for descriptors."},
    Family{"readers_stalled", "", "Sends that found the reader's window shut."},
    Family{"splices_evicted", "", "Kernel pipes that were taken from readers that stall."},
    Family{"receives_deferred", "", "Receives that were armed again."},
    Family{"planes_taken", "", "Connections handed to the SOCKHASH."},
    Family{"planes_declined", "reason", "Connections that stayed in userspace."},
    Family{"packet_taken", "", "Connections joined at packet level."},
    Family{"packet_broken", "", "Hand-overs to the packet plane that ended in a reset."},
    Family{"packet_declined", "reason", "Connections that the packet plane left to the relay."},
    Family{"packet_ports", "event", "Local ports of connections that the packet plane has."},
    Family{"packet_events", "event", "Events of the packet plane's programs."},
    Family{"sockhash_events", "event", "Events of the SOCKHASH's programs."},
    Family{"dns", "event", "Events of the workers' resolvers."},
};

class Text {
 public:
  void head(std::string_view name, std::string_view type, std::string_view help) {
    append({"# HELP sni_proxy_", name, " ", help, "\n# TYPE sni_proxy_", name, " ", type, "\n"});
  }
  // `labels` as in {a="b"}, or empty.
  void sample(std::string_view name, std::string_view labels, const std::string& value) {
    append({"sni_proxy_", name, labels, " ", value, "\n"});
  }
  void gauge(std::string_view name, std::string_view help, std::uint64_t value) {
    head(name, "gauge", help);
    sample(name, "", std::to_string(value));
  }
  std::string take() { return std::move(out_); }

 private:
  void append(std::initializer_list<std::string_view> parts) {
    for (const std::string_view part : parts) out_ += part;
  }
  std::string out_;
};

// Escaped for the text format.
std::string escaped(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c == '"' || c == '\\') text += '\\';
    text += c == '\n' ? ' ' : c;
  }
  return text;
}

std::string label(std::string_view name, std::string_view value) {
  return "{" + std::string(name) + "=\"" + escaped(value) + "\"}";
}

// Whole milliseconds, as seconds without trailing zeros: "0.25", "3600".
std::string seconds(std::uint64_t ms) {
  std::string text = std::to_string(ms / 1000);
  const std::uint64_t rest = ms % 1000;
  if (rest == 0) return text;
  std::string digits = std::to_string(1000 + rest).substr(1);
  while (digits.ends_with('0')) digits.pop_back();
  return text + '.' + digits;
}

void add_totals(Text& text, std::span<const Total> rows) {
  for (const Family& family : families) {
    const std::string name = std::string(family.name) + "_total";
    text.head(name, "counter", family.help);
    for (const Total& row : rows) {
      if (row.name != family.name) continue;
      text.sample(name, row.reason.empty() ? std::string() : label(family.label, row.reason),
                  std::to_string(row.value));
    }
  }
}

// Labels for an empty key, and for all keys without a row. A real key with the same text is counted
// with them: a label must not appear twice.
constexpr std::string_view none_value = "(none)";
constexpr std::string_view other_value = "(other)";

using Samples = std::map<std::string, TrafficCount, std::less<>>;

Samples samples_of(const TrafficReport& report) {
  Samples samples;
  for (const TrafficRow& row : report.rows) {
    samples[row.key.empty() ? std::string(none_value) : row.key] += row.count;
  }
  if (report.other != TrafficCount{}) samples[std::string(other_value)] += report.other;
  return samples;
}

void add_traffic(Text& text, const TrafficFamily& family) {
  const Samples samples = samples_of(family.report);
  const std::string kind(to_string(family.kind));
  const std::string connections = kind + "_connections_total";
  text.head(connections, "counter", "Connections by " + kind + ".");
  for (const auto& [key, count] : samples) {
    text.sample(connections, label(kind, key), std::to_string(count.connections));
  }
  const std::string bytes = kind + "_bytes_total";
  text.head(bytes, "counter",
            "Bytes by " + kind + ", of living connections too; up: from clients to backends.");
  for (const auto& [key, count] : samples) {
    const std::string begin = "{" + kind + "=\"" + escaped(key) + "\",direction=";
    text.sample(bytes, begin + "\"up\"}", std::to_string(count.to_backend));
    text.sample(bytes, begin + "\"down\"}", std::to_string(count.to_client));
  }
}

void add_xdp(Text& text, std::span<const XdpDrops> drops) {
  constexpr std::string_view name = "xdp_dropped_packets_total";
  text.head(name, "counter", "Packets that XDP has dropped.");
  for (const XdpDrops& each : drops) {
    text.sample(name, label("reason", each.reason), std::to_string(each.packets));
  }
}

template <const auto& bounds>
void add_histogram(Text& text, std::string_view name, std::string_view help,
                   std::span<const Counters* const> workers,
                   const Histogram<bounds> Counters::* histogram) {
  text.head(name, "histogram", help);
  std::uint64_t count = 0;
  std::uint64_t sum_ms = 0;
  for (std::size_t i = 0; i <= bounds.size(); ++i) {
    for (const Counters* worker : workers) count += (worker->*histogram).bucket(i);
    text.sample(std::string(name) + "_bucket",
                label("le", i == bounds.size() ? "+Inf" : seconds(bounds[i])),
                std::to_string(count));
  }
  for (const Counters* worker : workers) sum_ms += (worker->*histogram).sum_ms();
  text.sample(std::string(name) + "_sum", "", seconds(sum_ms));
  text.sample(std::string(name) + "_count", "", std::to_string(count));
}

void add_state(Text& text, const ProcessState& state) {
  text.head("build_info", "gauge", "1, with the version.");
  text.sample("build_info", label("version", state.version), "1");
  text.gauge("ready", "1 while the listeners stand and the proxy does not drain.",
             state.serving ? 1 : 0);
  text.gauge("start_time_seconds", "When the process started, since the epoch.", state.started_s);
  text.gauge("config_loaded_time_seconds",
             "When the running configuration was loaded, since the epoch.", state.config_loaded_s);
  text.head("reloads_failed_total", "counter", "Reloads that changed nothing because of mistakes.");
  text.sample("reloads_failed_total", "", std::to_string(state.reloads_failed));
  text.gauge("workers", "Workers configured.", state.workers);
  text.gauge("workers_ended", "Workers that have ended, by a drain or by a failure.",
             state.workers_ended);
  text.gauge("workers_silent", "Workers that did not answer this scrape in time.",
             state.workers_silent);
  text.gauge("connections", "Live connections, on every plane.", state.connections);
  text.gauge("relayed", "Connections whose sockets the proxy has.", state.relayed);
  text.gauge("relayed_max", "limits.connections, or what the descriptors allow.",
             state.relayed_max);
  text.gauge("pending_hellos", "Connections whose first flight is not complete.",
             state.pending_hellos);
  text.gauge("hello_memory_bytes", "First flights that are held.", state.hello_bytes);
  text.gauge("relay_memory_bytes", "Bytes held for readers that stall.", state.relay_bytes);
  text.gauge("descriptors", "Open file descriptors.", state.descriptors);
  text.gauge("descriptors_max", "Their limit.", state.descriptors_max);
  text.gauge("sockhash_backlog_peak_bytes",
             "The longest backlog that a living connection has had in the SOCKHASH.",
             state.sockhash_backlog_peak);
  text.head("log_lines_dropped_total", "counter", "Log lines that were not read in time.");
  text.sample("log_lines_dropped_total", "", std::to_string(state.log_lines_dropped));
}

}  // namespace

std::string metrics_text(std::span<const Total> totals, std::span<const Counters* const> workers,
                         const ProcessState& state, std::span<const TrafficFamily> traffic) {
  Text text;
  add_state(text, state);
  add_totals(text, totals);
  for (const TrafficFamily& family : traffic) add_traffic(text, family);
  add_xdp(text, state.xdp_drops);
  add_histogram<set_up_bounds_ms>(text, "hello_seconds", "From accept to a complete first flight.",
                                  workers, &Counters::hello_times);
  add_histogram<set_up_bounds_ms>(text, "resolve_seconds",
                                  "Lookups of backends' names that were not in the cache.", workers,
                                  &Counters::resolve_times);
  add_histogram<set_up_bounds_ms>(text, "connect_seconds", "Connects that reached their backend.",
                                  workers, &Counters::connect_times);
  add_histogram<life_bounds_ms>(text, "connection_seconds", "Connections from accept to their end.",
                                workers, &Counters::life_times);
  return text.take();
}

}  // namespace sni
