#include "bench/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <optional>

#include "bench/stats.h"

namespace sni::bench {
namespace {

const Sample* sample_of(const Report& report, std::string_view row, std::string_view column,
                        int round) {
  const auto found = std::ranges::find_if(report.samples, [&](const Sample& sample) {
    return sample.row == row && sample.column == column && sample.round == round;
  });
  return found == report.samples.end() ? nullptr : &*found;
}

// A sample with faults has no value.
std::optional<double> value_of(const Sample* sample, std::string_view value) {
  if (sample == nullptr || !sample->outcome.faults.empty()) return {};
  const auto found = sample->outcome.values.find(std::string(value));
  if (found == sample->outcome.values.end() || !std::isfinite(found->second)) return {};
  return found->second;
}

int rounds_of(const Report& report) {
  int rounds = 0;
  for (const Sample& sample : report.samples) rounds = std::max(rounds, sample.round);
  return rounds;
}

}  // namespace

Figure figure(const Report& report, const Row& row, const Metric& metric) {
  Figure result{.spread = std::numeric_limits<double>::quiet_NaN()};
  std::map<int, std::vector<double>> values;  // By place.
  std::map<int, std::vector<double>> ratios;
  for (int round = 1; round <= rounds_of(report); ++round) {
    const Sample* sample = sample_of(report, row.id, metric.column, round);
    const auto value = value_of(sample, metric.value);
    if (!value) continue;
    result.samples.push_back(*value);
    values[sample->place].push_back(*value);
    const auto base = value_of(sample_of(report, row.base, metric.column, round), metric.value);
    if (base && *base > 0) ratios[sample->place].push_back(*value / *base);
  }
  std::vector<double> medians;
  std::vector<double> median_ratios;
  for (const auto& [place, samples] : values) {
    medians.push_back(median(samples));
    result.spread = std::fmax(result.spread, spread(samples));
  }
  for (const auto& [place, samples] : ratios) median_ratios.push_back(median(samples));
  result.median = geometric_mean(medians);
  result.ratio = geometric_mean(median_ratios);
  return result;
}

std::vector<std::string> faults(const Report& report, const Row& row) {
  // A fault that affects several columns of a row is listed once, with those columns.
  std::vector<std::pair<std::string, std::vector<std::string>>> found;
  for (const Sample& sample : report.samples) {
    if (sample.row != row.id) continue;
    for (const std::string& fault : sample.outcome.faults) {
      auto known = std::ranges::find(found, fault, &decltype(found)::value_type::first);
      if (known == found.end()) known = found.insert(found.end(), {fault, {}});
      auto& where = known->second;
      if (std::ranges::find(where, sample.column) == where.end()) where.push_back(sample.column);
    }
  }
  std::vector<std::string> all;
  for (const auto& [fault, where] : found) {
    std::string line = where.front();
    if (where.size() > 1)
      line.append(" and ").append(std::to_string(where.size() - 1)).append(" more");
    all.push_back(line.append(": ").append(fault));
  }
  return all;
}

bool valid(const Report& report) {
  return std::ranges::all_of(report.rows,
                             [&](const Row& row) { return faults(report, row).empty(); });
}

std::vector<std::string> cautions(const Report& report) {
  // The direct row must be this much faster than any proxied one of its group.
  constexpr double headroom = 1.3;
  std::vector<std::string> all;
  if (const double idle = median(report.idle_busy); idle > idle_busy_max) {
    all.push_back("The machine was busy before any load (" + format_number(idle, "") +
                  " CPUs): no CPU figures, and all others are rough.");
  }
  std::string limited;
  for (const Row& direct : report.rows) {
    if (direct.kind != RowKind::direct) continue;
    for (const Metric& metric : metrics()) {
      // One connection's ping-pong does not measure capacity, but waking one end after the other.
      if (!metric.higher_is_better || metric.column == "pingpong-1") continue;
      const double reach = figure(report, direct, metric).median;
      const bool close = std::ranges::any_of(report.rows, [&](const Row& row) {
        return row.group == direct.group && row.kind != RowKind::direct &&
               figure(report, row, metric).median * headroom > reach;
      });
      if (close) limited += " " + direct.group + std::string(metric.column);
    }
  }
  if (!limited.empty()) {
    all.push_back("Less than 1.3 times faster without a proxy, so the load may be the limit:" +
                  limited + ".");
  }
  return all;
}

std::vector<Expectation> expectations(const Report& report) {
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  std::vector<Expectation> all{
      {"latency (64 B, 1 connection, p50)", "10 times lower", "pingpong-1.p50_us", {}, none},
      {"throughput (bulk down, 1 connection)", "2.5 times", "down-1.gbit_s", {}, none},
      {"CPU (5 Gbit/s)", "58 % less", "fixed-bulk.cpu_s_per_gb", {}, none},
  };
  for (Expectation& expectation : all) {
    const Metric& metric = metric_of(expectation.metric);
    for (const Row& row : report.rows) {
      if (row.kind != RowKind::plane || row.id == row.base) continue;
      const double ratio = figure(report, row, metric).ratio;
      if (std::isnan(ratio)) continue;
      const bool better =
          metric.higher_is_better ? ratio > expectation.ratio : ratio < expectation.ratio;
      if (std::isnan(expectation.ratio) || better) {
        expectation.best_row = row.id;
        expectation.ratio = ratio;
      }
    }
  }
  return all;
}

std::string format_number(double value, std::string_view unit) {
  if (!std::isfinite(value)) return "-";
  const char* suffix = "";
  double shown = value;
  if (unit == "B") {
    for (const char* larger : {" KiB", " MiB", " GiB"}) {
      if (std::abs(shown) < 1000) break;
      shown /= 1024;
      suffix = larger;
    }
  } else if (std::abs(value) >= 10'000) {
    shown = value / 1000;
    suffix = "k";
  }
  const double size = std::abs(shown);
  const int digits = size >= 100 || shown == std::floor(shown) ? 0
                     : size >= 10                              ? 1
                     : unit == "s" && size < 1                 ? 3
                                                               : 2;
  char text[48];
  std::snprintf(text, sizeof text, "%.*f%s", digits, shown, suffix);
  return text;
}

}  // namespace sni::bench
