#include "main/connections_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/quantity.h"
#include "main/control_command.h"
#include "main/text_table.h"

namespace sni {
namespace {

using nlohmann::json;

const TableRow titles{"ID",    "CLIENT", "NAME", "ROUTE",  "BACKEND", "STATE",
                      "PLANE", "UP",     "DOWN", "RATE/s", "AGE",     "IDLE"};
constexpr std::size_t first_number_column = 7;

TableRow row_of(const json& flow) {
  return {json_text(flow, "id"),
          json_text(flow, "client"),
          json_text(flow, "server_name"),
          json_text(flow, "route"),
          json_text(flow, "backend"),
          json_text(flow, "state"),
          json_text(flow, "plane"),
          short_bytes(json_number(flow, "client_bytes")),
          short_bytes(json_number(flow, "server_bytes")),
          short_bytes(json_number(flow, "rate")),
          short_span(json_number(flow, "age_ms")),
          short_span(json_number(flow, "idle_ms"))};
}

}  // namespace

std::string connections_text(json connections) {
  std::vector<json> sorted(std::make_move_iterator(connections.begin()),
                           std::make_move_iterator(connections.end()));
  std::ranges::stable_sort(sorted, std::ranges::greater(),
                           [](const json& flow) { return json_number(flow, "age_ms"); });
  std::vector<TableRow> rows{titles};
  for (const json& flow : sorted) rows.push_back(row_of(flow));
  return text_table(rows, first_number_column);
}

}  // namespace sni
