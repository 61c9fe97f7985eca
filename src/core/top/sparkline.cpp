#include "core/top/sparkline.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace sni {

std::string sparkline(std::span<const std::uint64_t> values, std::size_t width, bool unicode) {
  static constexpr std::array<std::string_view, 8> blocks{"\u2581", "\u2582", "\u2583", "\u2584",
                                                          "\u2585", "\u2586", "\u2587", "\u2588"};
  static constexpr std::array<std::string_view, 8> ascii{"_", ".", "-", "~", "=", "+", "*", "#"};
  const auto& levels = unicode ? blocks : ascii;
  if (values.size() > width) values = values.last(width);
  const std::uint64_t most = values.empty() ? 0 : *std::ranges::max_element(values);
  std::string line(width - values.size(), ' ');
  for (const std::uint64_t value : values) {
    if (value == 0) {
      line += ' ';
      continue;
    }
    const double part = static_cast<double>(value) / static_cast<double>(most);
    line += levels[std::min(levels.size() - 1, static_cast<std::size_t>(part * 8.0))];
  }
  return line;
}

}  // namespace sni
