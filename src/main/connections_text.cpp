#include "main/connections_text.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/quantity.h"
#include "main/control_command.h"

namespace sni {
namespace {

using nlohmann::json;

constexpr std::array<const char*, 12> titles{"ID",      "CLIENT", "NAME",  "ROUTE",
                                             "BACKEND", "STATE",  "PLANE", "UP",
                                             "DOWN",    "RATE/s", "AGE",   "IDLE"};
constexpr std::size_t first_number = 7;  // From there on columns are set to the right.
using Row = std::array<std::string, titles.size()>;

std::string text(const json& object, const char* name) {
  const auto found = object.find(name);
  const bool there = found != object.end() && found->is_string() && !found->empty();
  const std::string value = there ? found->get<std::string>() : std::string();
  return value.empty() ? "-" : value;
}

Row row_of(const json& flow) {
  return {text(flow, "id"),
          text(flow, "client"),
          text(flow, "server_name"),
          text(flow, "route"),
          text(flow, "backend"),
          text(flow, "state"),
          text(flow, "plane"),
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
  std::vector<Row> rows(1);
  std::ranges::copy(titles, rows.front().begin());
  for (const json& flow : sorted) rows.push_back(row_of(flow));
  std::array<std::size_t, titles.size()> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string pad(widths[i] - row[i].size(), ' ');
      out += i == 0 ? "" : "  ";
      out += i < first_number ? row[i] + pad : pad + row[i];
    }
    out += '\n';
  }
  return out;
}

}  // namespace sni
