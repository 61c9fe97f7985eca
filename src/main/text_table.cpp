#include "main/text_table.h"

#include <algorithm>

namespace sni {

std::string text_table(const std::vector<TableRow>& rows, std::size_t first_number) {
  std::vector<std::size_t> widths(rows.empty() ? 0 : rows.front().size());
  for (const TableRow& row : rows) {
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const TableRow& row : rows) {
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const std::string pad(widths[i] - row[i].size(), ' ');
      out += i == 0 ? "" : "  ";
      if (i >= first_number) {
        out += pad + row[i];
      } else {
        out += i + 1 == widths.size() ? row[i] : row[i] + pad;  // No spaces at the end of a line.
      }
    }
    out += '\n';
  }
  return out;
}

}  // namespace sni
