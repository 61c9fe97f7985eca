#include "bench/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace sni::bench {
namespace {

// All lengths are in SVG user units, pixels at the natural size.
constexpr double width = 720;
constexpr double label_width = 170;
constexpr double text_width = 90;
constexpr double bar_pitch = 24;
constexpr double bar_height = 14;
constexpr double title_height = 28;

constexpr double plot_left = 64;
constexpr double plot_right = 30;  // Half of the last label.
constexpr double plot_height = 260;
constexpr double axis_height = 36;
constexpr double legend_pitch = 18;
constexpr double nines_max = 4;  // The axis ends at p99.99.

std::string print(const char* format, auto... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

std::string open_svg(std::string_view title, double height) {
  return print("<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\">", width, height) + "<title>" +
         escape_html(title) + "</title><text class=\"t\" x=\"0\" y=\"16\">" + escape_html(title) +
         "</text>\n";
}

std::string text_at(double x, double y, const char* anchor, std::string_view text) {
  return print("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor) +
         escape_html(text) + "</text>";
}

std::string line(const char* style, double x1, double y1, double x2, double y2) {
  return print("<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", style, x1,
               y1, x2, y2);
}

// Where a share stands on an axis of nines: p90 at 1, p99 at 2.
double nines(double share) {
  return std::min(-std::log10(std::max(1 - share, 1e-9)), nines_max);
}

struct Decades {
  double low = 0;
  double high = 1;
};

Decades decades_of(const std::vector<Curve>& curves) {
  double least = 1e9;
  double greatest = 0;
  for (const Curve& curve : curves) {
    for (const auto& [share, microseconds] : curve.points) {
      if (microseconds <= 0) continue;
      least = std::min(least, microseconds);
      greatest = std::max(greatest, microseconds);
    }
  }
  if (greatest <= 0) return {};
  const double low = std::floor(std::log10(least));
  return {low, std::max(std::ceil(std::log10(greatest)), low + 1)};
}

std::string microseconds_text(double decade) {
  const double value = std::pow(10, decade);
  if (value >= 1e6) return print("%.0f s", value / 1e6);
  if (value >= 1e3) return print("%.0f ms", value / 1e3);
  return print("%g µs", value);
}

class PercentileAxes {
 public:
  explicit PercentileAxes(Decades decades) : decades_(decades) {}

  double x(double share) const {
    return plot_left + nines(share) / nines_max * (width - plot_left - plot_right);
  }
  double y(double decade) const {
    const double share = (decade - decades_.low) / (decades_.high - decades_.low);
    return title_height + (1 - share) * plot_height;
  }

  std::string draw() const {
    std::string out;
    for (const double share : {0.0, 0.5, 0.9, 0.99, 0.999, 0.9999}) {
      out += line("g", x(share), y(decades_.high), x(share), y(decades_.low));
      out += text_at(x(share), y(decades_.low) + 16, "middle",
                     share == 0 ? "min" : print("p%.10g", share * 100));
    }
    for (double decade = decades_.low; decade <= decades_.high; ++decade) {
      out += line("g", x(0), y(decade), x(1), y(decade));
      out += text_at(plot_left - 8, y(decade) + 4, "end", microseconds_text(decade));
    }
    return out;
  }

 private:
  Decades decades_;
};

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string bar_plot(std::string_view title, const std::vector<Bar>& bars) {
  double greatest = 0;
  for (const Bar& bar : bars) {
    if (std::isfinite(bar.value)) greatest = std::max({greatest, bar.value, bar.greatest});
  }
  const double room = width - label_width - text_width;
  const auto x = [&](double value) {
    return label_width + (greatest > 0 ? std::max(value, 0.0) / greatest * room : 0);
  };
  std::string out =
      open_svg(title, title_height + static_cast<double>(bars.size()) * bar_pitch + 4);
  double y = title_height;
  for (const Bar& bar : bars) {
    if (bar.new_group) out += line("g", 0, y, width, y);
    const double middle = y + bar_pitch / 2;
    out += text_at(label_width - 8, middle + 4, "end", bar.label);
    if (std::isfinite(bar.value)) {
      out += print("<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>",
                   bar.series.c_str(), label_width, middle - bar_height / 2,
                   x(bar.value) - label_width, bar_height);
      out += line("w", x(bar.least), middle, x(bar.greatest), middle);
      for (const double end : {bar.least, bar.greatest}) {
        out += line("w", x(end), middle - 4, x(end), middle + 4);
      }
    }
    const double end = std::isfinite(bar.value) ? x(std::max(bar.value, bar.greatest)) : x(0);
    out += text_at(end + 6, middle + 4, "start", std::isfinite(bar.value) ? bar.text : "-") + "\n";
    y += bar_pitch;
  }
  return out + "</svg>\n";
}

std::string percentile_plot(std::string_view title, const std::vector<Curve>& curves) {
  const PercentileAxes axes(decades_of(curves));
  const double legend_top = title_height + plot_height + axis_height;
  std::string out = open_svg(
      title, legend_top + std::ceil(static_cast<double>(curves.size()) / 3) * legend_pitch);
  out += axes.draw() + "\n";
  for (std::size_t i = 0; i < curves.size(); ++i) {
    const Curve& curve = curves[i];
    std::string points;
    for (const auto& [share, microseconds] : curve.points) {
      if (microseconds <= 0) continue;
      points += print("%.1f,%.1f ", axes.x(share), axes.y(std::log10(microseconds)));
    }
    out += "<polyline class=\"c " + curve.series + "\" points=\"" + points + "\"/>";
    const double left = plot_left + static_cast<double>(i % 3) * 215;
    const double middle = legend_top + static_cast<double>(i / 3) * legend_pitch;
    out += print("<line class=\"c %s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>",
                 curve.series.c_str(), left, middle, left + 22, middle);
    out += text_at(left + 28, middle + 4, "start", curve.label) + "\n";
  }
  return out + "</svg>\n";
}

}  // namespace sni::bench
