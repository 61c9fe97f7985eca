// The report as JSON: every sample, and the figures that the tables show, so that scripts (such as
// bench/measured_table.py) need no arithmetic.

#include <cmath>
#include <nlohmann/json.hpp>

#include "bench/report.h"

namespace sni::bench {
namespace {

using nlohmann::ordered_json;

// JSON has no NaN: null stands for "not measured".
ordered_json number(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

ordered_json row_json(const Report& report, const Row& row) {
  static constexpr const char* kinds[] = {"direct", "plane", "peer"};
  ordered_json figures = ordered_json::object();
  for (const Metric& metric : metrics()) {
    const Figure found = figure(report, row, metric);
    if (found.samples.empty()) continue;
    figures[metric.key()] = {{"median", number(found.median)},
                             {"spread", number(found.spread)},
                             {"ratio", number(found.ratio)},
                             {"samples", found.samples}};
  }
  return {{"id", row.id},
          {"title", row.title},
          {"group", row.group},
          {"base", row.base},
          {"kind", kinds[static_cast<std::size_t>(row.kind)]},
          {"version", row.version},
          {"faults", faults(report, row)},
          {"figures", std::move(figures)}};
}

ordered_json sample_json(const Sample& sample) {
  ordered_json values = ordered_json::object();
  for (const auto& [name, value] : sample.outcome.values) values[name] = number(value);
  return {{"row", sample.row},
          {"column", sample.column},
          {"round", sample.round},
          {"place", sample.place},
          {"values", std::move(values)},
          {"latency_us", sample.outcome.latency},
          {"faults", sample.outcome.faults}};
}

}  // namespace

std::string json_report(const Report& report) {
  ordered_json root;
  root["format"] = 1;
  root["started"] = report.started;
  root["mode"] = report.mode;
  root["valid"] = valid(report);
  root["cautions"] = cautions(report);
  root["machine"] = report.machine;
  root["settings"] = report.settings;
  root["idle_busy"] = report.idle_busy;
  for (const Metric& metric : metrics()) {
    root["metrics"][metric.key()] = {{"title", metric.title},
                                     {"unit", metric.unit},
                                     {"higher_is_better", metric.higher_is_better}};
  }
  root["groups"] = report.groups;
  for (const Row& row : report.rows) root["rows"].push_back(row_json(report, row));
  for (const Expectation& expectation : expectations(report)) {
    root["expectations"].push_back({{"what", expectation.what},
                                    {"expected", expectation.expected},
                                    {"metric", expectation.metric},
                                    {"best_row", expectation.best_row},
                                    {"ratio", number(expectation.ratio)}});
  }
  for (const Sample& sample : report.samples) root["samples"].push_back(sample_json(sample));
  // Peers' last words may be in any encoding.
  return root.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace sni::bench
