#include "core/session/totals.h"

namespace sni {

namespace {

// Adds the rows of one worker to those of the others. Every worker has the same rows in the same
// order.
class Table {
 public:
  explicit Table(std::vector<Total>& rows) : rows_(rows) {}

  void row(std::string_view name, const Counter& counter, std::string_view reason = {}) {
    if (next_ == rows_.size()) rows_.push_back({.name = name, .reason = reason});
    rows_[next_++].value += counter.value();
  }
  template <typename Reason, std::size_t count>
  void rows(std::string_view name, const std::array<Counter, count>& counters) {
    for (std::size_t i = 0; i < count; ++i)
      row(name, counters[i], to_string(static_cast<Reason>(i)));
  }

 private:
  std::vector<Total>& rows_;
  std::size_t next_ = 0;
};

void add(std::vector<Total>& rows, const Counters& counters) {
  Table table(rows);
  table.row("accepted", counters.accepted);
  table.row("accept_errors", counters.accept_errors);
  table.rows<Refusal>("refused", counters.refused);
  table.rows<EndReason>("ended", counters.ended);
  table.row("client_bytes", counters.bytes_to_backend);
  table.row("server_bytes", counters.bytes_to_client);
  table.row("races_put_off", counters.races_put_off);
  table.row("readers_stalled", counters.readers_stalled);
  table.row("splices_evicted", counters.splices_evicted);
  table.row("receives_deferred", counters.receives_deferred);
  table.row("planes_taken", counters.planes_taken);
  table.rows<PlaneDecline>("planes_declined", counters.planes_declined);
  table.row("packet_taken", counters.packet.taken);
  table.row("packet_broken", counters.packet.broken);
  table.rows<PacketDecline>("packet_declined", counters.packet.declined);
  table.row("packet_ports", counters.packet.ports.shared, "shared");
  table.row("packet_ports", counters.packet.ports.exhausted, "exhausted");
  table.row("packet_ports", counters.packet.ports.refused, "refused");
  table.row("dns", counters.dns.questions, "questions");
  table.row("dns", counters.dns.merged, "merged");
  table.row("dns", counters.dns.cache_hits, "cache_hits");
  table.row("dns", counters.dns.shared_hits, "shared_hits");
  table.row("dns", counters.dns.stale, "stale");
  table.row("dns", counters.dns.not_found, "not_found");
  table.row("dns", counters.dns.failed, "failed");
  table.row("dns", counters.dns.overloaded, "overloaded");
}

}  // namespace

std::vector<Total> totals(std::span<const Counters* const> workers) {
  std::vector<Total> rows;
  for (const Counters* counters : workers) add(rows, *counters);
  return rows;
}

std::string totals_line(std::span<const Total> totals) {
  std::string line;
  for (const Total& total : totals) {
    if (total.value == 0 && total.name != "accepted") continue;
    if (!line.empty()) line += ' ';
    line += total.name;
    if (!total.reason.empty()) {
      line += '.';
      for (const char c : total.reason) line += c == ' ' ? '_' : c;
    }
    line += '=' + std::to_string(total.value);
  }
  return line;
}

}  // namespace sni
