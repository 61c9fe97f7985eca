#pragma once

// Plots as inline SVG: horizontal bars with whiskers, and latency percentile curves. Colours are
// classes that the page's style sheet fills (s0..s7 for series), so that they follow light and
// dark.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sni::bench {

struct Bar {
  std::string label;
  double value = 0;  // NaN: shown as a dash.
  double least = 0;
  double greatest = 0;
  std::string text;        // The value as people read it.
  std::string series;      // Class of its colour.
  bool new_group = false;  // A line above it.
};
std::string bar_plot(std::string_view title, const std::vector<Bar>& bars);

struct Curve {
  std::string label;
  std::vector<std::pair<double, double>> points;  // Share (0..1) and microseconds.
  std::string series;
};
// Percentiles run to the right by nines, microseconds upwards by decades.
std::string percentile_plot(std::string_view title, const std::vector<Curve>& curves);

std::string escape_html(std::string_view text);

}  // namespace sni::bench
