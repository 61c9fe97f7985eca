#include "core/top/top_table.h"

#include <algorithm>

namespace sni {

namespace {

constexpr std::size_t gap = 1;  // Between two columns.

std::size_t needed(const std::vector<std::size_t>& widths) {
  std::size_t sum = 0;
  for (const std::size_t width : widths) sum += width == 0 ? 0 : width + gap;
  return sum == 0 ? 0 : sum - gap;
}

}  // namespace

std::string top_fit(std::string_view text, std::size_t width) {
  if (text.size() > width) {
    std::string cut(text.substr(0, width));
    if (width > 0) cut.back() = '~';
    return cut;
  }
  return std::string(text) + std::string(width - text.size(), ' ');
}

std::vector<std::size_t> top_widths(const std::vector<TopColumn>& columns,
                                    const std::vector<TopCells>& rows, std::size_t width) {
  std::vector<std::size_t> widths;
  for (const TopColumn& column : columns) widths.push_back(column.width);
  while (needed(widths) > width) {
    std::size_t last = columns.size();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (widths[i] == 0 || columns[i].rank == 0) continue;
      if (last == columns.size() || columns[i].rank > columns[last].rank) last = i;
    }
    if (last == columns.size()) break;
    widths[last] = 0;
  }
  // Text columns grow in order, up to the width of their cells.
  std::size_t left = width - std::min(width, needed(widths));
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (widths[i] == 0 || columns[i].number) continue;
    std::size_t wanted = widths[i];
    for (const TopCells& cells : rows) wanted = std::max(wanted, cells[i].size());
    const std::size_t more = std::min(left, wanted - widths[i]);
    widths[i] += more;
    left -= more;
  }
  return widths;
}

std::string top_line(const std::vector<TopColumn>& columns, const std::vector<std::size_t>& widths,
                     const TopCells& cells, std::size_t width) {
  std::string line;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (widths[i] == 0) continue;
    if (!line.empty()) line.append(gap, ' ');
    const std::string& cell = cells[i];
    if (columns[i].number && cell.size() < widths[i]) line.append(widths[i] - cell.size(), ' ');
    line += columns[i].number && cell.size() <= widths[i] ? cell : top_fit(cell, widths[i]);
  }
  return top_fit(line, width);
}

}  // namespace sni
