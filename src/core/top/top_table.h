#pragma once

// A table that fits a width: the least important columns are dropped first, and text columns share
// what is left.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sni {

struct TopColumn {
  std::string_view title;
  std::size_t width = 0;  // At least; a number's column is never wider.
  bool number = false;    // Right-aligned.
  int rank = 0;           // The highest is dropped first; 0: never.
};

using TopCells = std::vector<std::string>;

// Widths of the columns, 0: not shown. Cells are printable ASCII.
std::vector<std::size_t> top_widths(const std::vector<TopColumn>& columns,
                                    const std::vector<TopCells>& rows, std::size_t width);
// One line of exactly `width` columns; a cut cell ends with '~'.
std::string top_line(const std::vector<TopColumn>& columns, const std::vector<std::size_t>& widths,
                     const TopCells& cells, std::size_t width);
// Cut or padded with blanks.
std::string top_fit(std::string_view text, std::size_t width);

}  // namespace sni
