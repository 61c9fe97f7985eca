#include "core/top/top_table.h"

#include <doctest/doctest.h>

using namespace sni;

namespace {

const std::vector<TopColumn> columns{{.title = "NAME", .width = 6},
                                     {.title = "EXTRA", .width = 5, .rank = 1},
                                     {.title = "BYTES", .width = 5, .number = true}};
const std::vector<TopCells> rows{{"a.long.name", "more", "12"}};

}  // namespace

TEST_CASE("columns of text take the room that is left, as far as they need it") {
  CHECK(top_widths(columns, rows, 18) == std::vector<std::size_t>{6, 5, 5});
  CHECK(top_widths(columns, rows, 21) == std::vector<std::size_t>{9, 5, 5});
  CHECK(top_widths(columns, rows, 80) == std::vector<std::size_t>{11, 5, 5});
}

TEST_CASE("columns that matter less go first, and those that matter most stay") {
  CHECK(top_widths(columns, rows, 17) == std::vector<std::size_t>{11, 0, 5});
  CHECK(top_widths(columns, rows, 3) == std::vector<std::size_t>{6, 0, 5});
}

TEST_CASE("numbers are right-aligned, and a cut is marked") {
  CHECK(top_line(columns, {11, 5, 5}, rows[0], 24) == "a.long.name more     12 ");
  CHECK(top_line(columns, {6, 0, 5}, rows[0], 12) == "a.lon~    12");
  CHECK(top_line(columns, {6, 0, 5}, rows[0], 3) == "a.~");
}
