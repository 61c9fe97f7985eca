// The report as text: tables of at most 100 columns, each with the rows' names on the left.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "bench/report.h"

namespace sni::bench {
namespace {

constexpr std::size_t name_width = 20;
constexpr std::size_t figure_width = 20;  // " 123 MiB ±12% 12.34x"; four fit.
constexpr std::size_t triple_width = 26;  // " 123.4 / 223.4 / 323.4"; three fit.

struct Cell {
  std::string_view title;
  std::vector<std::string_view> metrics;  // One: with spread and ratio; three: percentiles.
};

struct Table {
  std::string_view title;
  std::vector<Cell> cells;
};

const std::vector<Table>& tables() {
  static const std::vector<Table> all = {
      {"Per second",
       {{"new connections", {"connections.rate"}},
        {"64 B, 1 conn", {"pingpong-1.rate"}},
        {"64 B, 64 conns", {"pingpong-64.rate"}},
        {"4 KiB, 16 conns", {"messages-16.rate"}}}},
      {"Latency in microseconds: p50 / p99 / p99.9 (medians of the rounds)",
       {{"ping-pong, 1 conn", {"pingpong-1.p50_us", "pingpong-1.p99_us", "pingpong-1.p999_us"}},
        {"ping-pong, 64 conns",
         {"pingpong-64.p50_us", "pingpong-64.p99_us", "pingpong-64.p999_us"}},
        {"by schedule, 20,000/s",
         {"fixed-messages.p50_us", "fixed-messages.p99_us", "fixed-messages.p999_us"}}}},
      {"Bulk in Gbit/s, 1 connection",
       {{"down", {"down-1.gbit_s"}},
        {"up", {"up-1.gbit_s"}},
        {"both ways at once", {"both-1.gbit_s"}}}},
      {"Bulk in Gbit/s, 16 connections",
       {{"down", {"down-16.gbit_s"}},
        {"up", {"up-16.gbit_s"}},
        {"both ways at once", {"both-16.gbit_s"}}}},
      {"CPU seconds of the whole system; memory",
       {{"per GB at 5 Gbit/s", {"fixed-bulk.cpu_s_per_gb"}},
        {"per 100k at 20k/s", {"fixed-messages.cpu_s_per_100k"}},
        {"B, idle connection", {"idle-memory.bytes"}},
        {"B, stalled reader", {"stalled-memory.bytes"}}}},
      {"The proxy's own CPU in microseconds for each",
       {{"new connection", {"connections.proxy_us"}},
        {"64 B, 64 conns", {"pingpong-64.proxy_us"}},
        {"4 KiB, 16 conns", {"messages-16.proxy_us"}}}},
  };
  return all;
}

// Characters, not bytes: "±" has two bytes.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string pad_left(std::string_view text, std::size_t width) {
  const std::size_t wide = width_of(text);
  return std::string(wide < width ? width - wide : 0, ' ').append(text);
}

std::string pad_right(std::string_view text, std::size_t width) {
  const std::size_t wide = width_of(text);
  return std::string(text).append(wide < width ? width - wide : 0, ' ');
}

std::string percent(double share) {
  if (!std::isfinite(share)) return {};
  char text[32];
  std::snprintf(text, sizeof text, "±%.0f%%", std::min(share, 9.99) * 100);
  return text;
}

std::string ratio_text(double ratio) {
  if (!std::isfinite(ratio)) return {};
  char text[32];
  std::snprintf(text, sizeof text, ratio < 99.5 ? "%.2fx" : "%.0fx", ratio);
  return text;
}

// As format_number(), with sizes as "1.50Ki": the column's title says bytes, and space is scarce.
std::string short_number(double value, std::string_view unit) {
  std::string text = format_number(value, unit);
  if (unit == "B" && text.ends_with("iB")) {
    text.pop_back();
    std::erase(text, ' ');
  }
  return text;
}

std::string cell_text(const Report& report, const Row& row, const Cell& cell) {
  if (cell.metrics.size() == 1) {
    const Metric& metric = metric_of(cell.metrics.front());
    const Figure found = figure(report, row, metric);
    return pad_left(short_number(found.median, metric.unit), 8) +
           pad_left(found.samples.size() > 1 ? percent(found.spread) : "", 5) +
           pad_left(row.id == row.base ? "1x" : ratio_text(found.ratio), 7);
  }
  std::string text;
  for (const std::string_view key : cell.metrics) {
    const Metric& metric = metric_of(key);
    text += pad_left(format_number(figure(report, row, metric).median, metric.unit), 7);
    if (key != cell.metrics.back()) text += " /";
  }
  return text;
}

bool measured(const Report& report, const Table& table) {
  return std::ranges::any_of(table.cells, [&](const Cell& cell) {
    const std::string_view column = metric_of(cell.metrics.front()).column;
    return std::ranges::any_of(report.samples,
                               [&](const Sample& sample) { return sample.column == column; });
  });
}

std::string table_text(const Report& report, const Table& table) {
  std::string text = "\n" + std::string(table.title) + "\n" + pad_right("", name_width);
  const auto width = [](const Cell& cell) {
    return cell.metrics.size() == 1 ? figure_width : triple_width;
  };
  for (const Cell& cell : table.cells) text += pad_left(cell.title, width(cell));
  text += "\n";
  std::string_view group;
  for (const Row& row : report.rows) {
    if (row.group != group && report.groups.contains(row.group)) {
      text += "  " + report.groups.at(row.group) + "\n";
    }
    group = row.group;
    text += pad_right((faults(report, row).empty() ? "" : "! ") + row.id, name_width);
    for (const Cell& cell : table.cells) {
      text += pad_left(cell_text(report, row, cell), width(cell));
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += "\n";
  }
  return text;
}

std::string expectation_text(const Report& report) {
  std::string text =
      "\nWhat the project expected of a kernel fast path over its own userspace relay, and what "
      "the\n"
      "best plane of this run shows:\n";
  for (const Expectation& expectation : expectations(report)) {
    text += "  " + pad_right(expectation.what, 40) + pad_right(expectation.expected, 18);
    text += expectation.best_row.empty()
                ? "no other plane was measured\n"
                : ratio_text(expectation.ratio) + " (" + expectation.best_row + ")\n";
  }
  return text;
}

// One paragraph within the width. Faults quote other programs, with any length and line ends.
std::string wrapped(std::string line) {
  constexpr std::size_t text_width = 98;
  std::string text;
  std::ranges::replace(line, '\n', ' ');
  while (line.size() > text_width) {
    const std::size_t blank = line.rfind(' ', text_width);
    const std::size_t end = blank == std::string::npos || blank < 8 ? text_width : blank;
    text += line.substr(0, end) + "\n";
    line = "    " + line.substr(line[end] == ' ' ? end + 1 : end);
  }
  return text + line + "\n";
}

std::string fault_text(const Report& report) {
  std::string text;
  for (const Row& row : report.rows) {
    for (const std::string& fault : faults(report, row)) {
      text += wrapped("! " + row.id + ": " + fault);
    }
  }
  return text.empty() ? text : "\nInvalid rows\n" + text;
}

}  // namespace

std::string text_report(const Report& report) {
  const auto fact = [&](const char* name) {
    const auto found = report.machine.find(name);
    return found == report.machine.end() ? std::string("unknown") : found->second;
  };
  std::string text = "sni-proxy bench, " + report.started + ", " + report.mode + "\n" +
                     fact("kernel").substr(0, 60) + "\n" + fact("cpu").substr(0, 70) + ", " +
                     fact("cpus") + " CPUs\n";
  for (const Row& row : report.rows) {
    if (row.group.empty()) {
      text += "  " + pad_right(row.id, name_width - 2) + row.title +
              (row.version.empty() ? "" : ", " + row.version) + "\n";
    }
  }
  text +=
      "Figures are medians of the rounds, ± half the range, and the ratio to the userspace relay;\n"
      "where the proxy shared the client's CPU and the backend's in turn, the geometric mean of "
      "both.\n";
  for (const std::string& each : cautions(report)) text += wrapped(each);
  for (const Table& table : tables()) {
    if (measured(report, table)) text += table_text(report, table);
  }
  return text + expectation_text(report) + fault_text(report);
}

}  // namespace sni::bench
