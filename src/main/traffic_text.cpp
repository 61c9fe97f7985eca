#include "main/traffic_text.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/ascii.h"
#include "core/quantity.h"
#include "main/control_command.h"

namespace sni {
namespace {

using nlohmann::json;

using Row = std::array<std::string, 4>;

Row row_of(std::string key, const json& count) {
  return {std::move(key), std::to_string(json_number(count, "connections")),
          short_bytes(json_number(count, "client_bytes")),
          short_bytes(json_number(count, "server_bytes"))};
}

}  // namespace

std::string traffic_text(const json& answer) {
  std::string title = json_member(answer, "by").get<std::string>();
  for (char& c : title) c = is_letter(c) ? static_cast<char>(to_lower(c) - 32) : c;
  std::vector<Row> rows{{std::move(title), "CONNECTIONS", "UP", "DOWN"}};
  for (const json& each : json_member(answer, "rows")) {
    const auto key = json_member(each, "key").get<std::string>();
    rows.push_back(row_of(key.empty() ? "-" : key, each));
  }
  const json& other = json_member(answer, "other");
  if (json_number(other, "connections") != 0) rows.push_back(row_of("(other)", other));
  std::array<std::size_t, std::tuple_size_v<Row>> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const Row& row : rows) {
    out += row[0] + std::string(widths[0] - row[0].size(), ' ');
    for (std::size_t i = 1; i < row.size(); ++i) {
      out += std::string(widths[i] - row[i].size() + 2, ' ') + row[i];
    }
    out += '\n';
  }
  return out;
}

}  // namespace sni
