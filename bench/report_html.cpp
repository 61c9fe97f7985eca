// The report as one page: what was measured where, plots, and every figure in tables. No script and
// nothing loaded from elsewhere, so that it can be mailed, kept and opened anywhere.

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "bench/plot.h"
#include "bench/report.h"
#include "bench/stats.h"

namespace sni::bench {
namespace {

// Colours after Okabe and Ito, which people with any colour vision can tell apart.
constexpr std::string_view style = R"css(
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --faint: #d5d9de; --soft: #f4f5f7; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8ea; --paper: #15181c; --faint: #3a4048; --soft: #1e2227; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr)); gap: 1.5rem; }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg .t { font-weight: 600; font-size: 13px; }
.g { stroke: var(--faint); } .w { stroke: var(--ink); } .c { fill: none; stroke-width: 2; }
rect.s0 { fill: #8a9099; } rect.s1 { fill: #0072b2; } rect.s2 { fill: #009e73; } rect.s3 { fill: #cc79a7; }
rect.s4 { fill: #e69f00; } rect.s5 { fill: #d55e00; } rect.s6 { fill: #56b4e9; } rect.s7 { fill: #b8a800; }
.c.s0 { stroke: #8a9099; } .c.s1 { stroke: #0072b2; } .c.s2 { stroke: #009e73; } .c.s3 { stroke: #cc79a7; }
.c.s4 { stroke: #e69f00; } .c.s5 { stroke: #d55e00; } .c.s6 { stroke: #56b4e9; } .c.s7 { stroke: #b8a800; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--faint); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); }
td small { opacity: .7; } tr.group td { background: var(--soft); font-weight: 600; }
.invalid { color: #c03a2b; }
)css";

// The same colour for a candidate in every group: by its place among the first group's rows.
std::string series_of(const Report& report, const Row& row) {
  const std::string name = row.id.substr(row.group.size());
  std::size_t place = 0;
  for (const Row& other : report.rows) {
    if (other.id.substr(other.group.size()) == name) break;
    ++place;
  }
  return "s" + std::to_string(place % 8);
}

std::string bars(const Report& report, std::string_view key, std::string_view title) {
  const Metric& metric = metric_of(key);
  std::vector<Bar> all;
  bool any = false;
  for (const Row& row : report.rows) {
    const Figure found = figure(report, row, metric);
    Bar bar{.label = row.id,
            .value = found.median,
            .text = format_number(found.median, metric.unit),
            .series = series_of(report, row),
            .new_group = !all.empty() && row.group != report.rows[all.size() - 1].group};
    if (!found.samples.empty()) {
      bar.least = std::ranges::min(found.samples);
      bar.greatest = std::ranges::max(found.samples);
      any = true;
    }
    all.push_back(std::move(bar));
  }
  return any ? bar_plot(title, all) : std::string();
}

// A row's latency curve: at each share the median of the rounds.
std::vector<std::pair<double, double>> median_curve(const Report& report, const Row& row,
                                                    std::string_view column) {
  std::map<double, std::vector<double>> rounds;
  for (const Sample& sample : report.samples) {
    if (sample.row != row.id || sample.column != column || !sample.outcome.faults.empty()) continue;
    for (const auto& [share, value] : sample.outcome.latency) rounds[share].push_back(value);
  }
  std::vector<std::pair<double, double>> curve;
  for (const auto& [share, values] : rounds) curve.emplace_back(share, median(values));
  return curve;
}

std::string curves(const Report& report, std::string_view column, std::string_view title) {
  std::string out;
  for (const auto& [group, group_title] : report.groups) {
    std::vector<Curve> all;
    for (const Row& row : report.rows) {
      if (row.group != group) continue;
      auto points = median_curve(report, row, column);
      if (points.empty()) continue;
      all.push_back(
          {.label = row.id, .points = std::move(points), .series = series_of(report, row)});
    }
    if (!all.empty()) out += percentile_plot(std::string(title) + "; " + group_title, all);
  }
  return out;
}

std::string cell(const Report& report, const Row& row, const Metric& metric) {
  const Figure found = figure(report, row, metric);
  if (found.samples.empty()) return "<td>-</td>";
  std::string text = "<td>" + format_number(found.median, metric.unit);
  char detail[64] = {};
  if (found.samples.size() > 1 && std::isfinite(found.spread)) {
    std::snprintf(detail, sizeof detail, " <small>±%.0f%%</small>", found.spread * 100);
    text += detail;
  }
  if (row.id != row.base && std::isfinite(found.ratio)) {
    std::snprintf(detail, sizeof detail, " <small>%.2fx</small>", found.ratio);
    text += detail;
  }
  return text + "</td>";
}

std::string table(const Report& report, std::string_view title,
                  const std::vector<std::string_view>& keys) {
  std::vector<const Metric*> shown;
  for (const std::string_view key : keys) {
    const Metric& metric = metric_of(key);
    const auto has = [&](const Sample& sample) { return sample.column == metric.column; };
    if (std::ranges::any_of(report.samples, has)) shown.push_back(&metric);
  }
  if (shown.empty()) return {};
  std::string out = "<h2>" + escape_html(title) + "</h2>\n<div class=\"wide\"><table><tr><th></th>";
  for (const Metric* metric : shown) {
    out += "<th>" + escape_html(metric->title) + "<br><small>" + escape_html(metric->unit) +
           "</small></th>";
  }
  out += "</tr>\n";
  const std::string* group = nullptr;
  for (const Row& row : report.rows) {
    if ((group == nullptr || *group != row.group) && report.groups.contains(row.group)) {
      out += "<tr class=\"group\"><td colspan=\"" + std::to_string(shown.size() + 1) + "\">" +
             escape_html(report.groups.at(row.group)) + "</td></tr>\n";
    }
    group = &row.group;
    const bool good = faults(report, row).empty();
    out += "<tr><td" + std::string(good ? "" : " class=\"invalid\"") + ">" + escape_html(row.id) +
           (good ? "" : " (invalid)") + "</td>";
    for (const Metric* metric : shown) out += cell(report, row, *metric);
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string expectation_list(const Report& report) {
  std::string out =
      "<h2>Expected and measured</h2>\n<p>What the project expected of a kernel fast path over its "
      "own userspace relay, beside the best plane of this run.</p>\n<ul>\n";
  for (const Expectation& expectation : expectations(report)) {
    char ratio[32] = {};
    std::snprintf(ratio, sizeof ratio, "%.2f times", expectation.ratio);
    out += "<li>" + escape_html(expectation.what) + ": expected " +
           escape_html(expectation.expected) + "; measured " +
           (expectation.best_row.empty()
                ? std::string("nothing, since no other plane ran")
                : std::string(ratio) + " (" + escape_html(expectation.best_row) + ")") +
           "</li>\n";
  }
  return out + "</ul>\n";
}

std::string facts(const Report& report) {
  std::string out = "<h2>Machine and run</h2>\n<div class=\"wide\"><table>\n";
  const auto add = [&](std::string_view name, std::string_view value) {
    out += "<tr><td>" + escape_html(name) + "</td><td>" + escape_html(value) + "</td></tr>\n";
  };
  for (const Row& row : report.rows) {
    if (!row.version.empty()) add(row.id, row.title + ", " + row.version);
  }
  for (const auto& [name, value] : report.machine) add(name, value);
  for (const auto& [name, value] : report.settings) add(name, format_number(value, ""));
  return out + "</table></div>\n";
}

std::string fault_list(const Report& report) {
  std::string out;
  for (const Row& row : report.rows) {
    for (const std::string& fault : faults(report, row)) {
      out += "<li class=\"invalid\">" + escape_html(row.id + ": " + fault) + "</li>\n";
    }
  }
  return out.empty() ? out : "<h2>Invalid rows</h2>\n<ul>\n" + out + "</ul>\n";
}

}  // namespace

std::string html_report(const Report& report) {
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>sni-proxy bench</title>\n<style>" +
      std::string(style) + "</style></head>\n<body>\n<h1>sni-proxy bench</h1>\n<p>" +
      escape_html(report.started) + ", " + escape_html(report.mode) +
      ". Medians of the rounds (where the proxy shared the client's CPU and the backend's in turn, "
      "the geometric mean of both), whiskers from the least to the greatest; ratios are to the "
      "userspace relay of the same group.</p>\n";
  for (const std::string& each : cautions(report)) {
    out += "<p class=\"invalid\">" + escape_html(each) + "</p>\n";
  }
  out += fault_list(report);
  out += "<h2>Requests</h2>\n<div class=\"plots\">\n" +
         bars(report, "pingpong-64.rate", "64-byte ping-pong, 64 connections, per second") +
         bars(report, "messages-16.rate", "4 KiB ping-pong, 16 connections, per second") +
         bars(report, "connections.rate", "New connections per second") + "</div>\n";
  out += "<h2>Latency</h2>\n<div class=\"plots\">\n" +
         curves(report, "pingpong-1", "Ping-pong, 1 connection") +
         curves(report, "pingpong-64", "Ping-pong, 64 connections") +
         curves(report, "fixed-messages", "20,000 messages/s by schedule") + "</div>\n";
  out += "<h2>Bulk</h2>\n<div class=\"plots\">\n" +
         bars(report, "down-1.gbit_s", "Down, 1 connection, Gbit/s") +
         bars(report, "up-1.gbit_s", "Up, 1 connection, Gbit/s") +
         bars(report, "both-16.gbit_s", "Both ways, 16 connections, Gbit/s") + "</div>\n";
  out += "<h2>Cost</h2>\n<div class=\"plots\">\n" +
         bars(report, "fixed-bulk.cpu_s_per_gb", "CPU seconds per gigabyte at 5 Gbit/s") +
         bars(report, "fixed-messages.cpu_s_per_100k", "CPU seconds per 100,000 messages") +
         bars(report, "idle-memory.bytes", "Memory per idle connection") +
         bars(report, "stalled-memory.bytes", "Held for a stalled reader") + "</div>\n";
  out += table(report, "Requests per second",
               {"connections.rate", "pingpong-1.rate", "pingpong-64.rate", "messages-16.rate",
                "pingpong-64.proxy_us", "messages-16.proxy_us"});
  out += table(report, "Latency",
               {"pingpong-1.p50_us", "pingpong-1.p99_us", "pingpong-1.p999_us",
                "pingpong-64.p50_us", "pingpong-64.p99_us", "pingpong-64.p999_us",
                "fixed-messages.p50_us", "fixed-messages.p99_us", "fixed-messages.p999_us"});
  out += table(report, "Bulk",
               {"down-1.gbit_s", "up-1.gbit_s", "both-1.gbit_s", "down-16.gbit_s", "up-16.gbit_s",
                "both-16.gbit_s"});
  out += table(report, "CPU and memory",
               {"fixed-bulk.cpu_s_per_gb", "fixed-messages.cpu_s_per_100k", "idle-memory.bytes",
                "stalled-memory.bytes"});
  return out + expectation_list(report) + facts(report) + "</body></html>\n";
}

}  // namespace sni::bench
