#pragma once

// A table as commands print it: a row for each line, columns as wide as their widest cell and two
// spaces apart. Rows have as many cells as the first one, the titles.

#include <cstddef>
#include <string>
#include <vector>

namespace sni {

using TableRow = std::vector<std::string>;

// Cells are right-aligned from column `first_number` on, counted from 0.
std::string text_table(const std::vector<TableRow>& rows, std::size_t first_number);

}  // namespace sni
