#include "main/traffic_text.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "core/ascii.h"
#include "core/quantity.h"
#include "main/control_command.h"
#include "main/text_table.h"

namespace sni {
namespace {

using nlohmann::json;

TableRow counts_of(std::string key, const json& count) {
  return {std::move(key), std::to_string(json_number(count, "connections")),
          short_bytes(json_number(count, "client_bytes")),
          short_bytes(json_number(count, "server_bytes"))};
}

}  // namespace

std::string traffic_text(const json& answer) {
  std::string title = json_text(answer, "by");
  for (char& c : title) c = is_letter(c) ? static_cast<char>(to_lower(c) - 32) : c;
  std::vector<TableRow> rows{{std::move(title), "CONNECTIONS", "UP", "DOWN"}};
  for (const json& each : json_member(answer, "rows")) {
    rows.push_back(counts_of(json_text(each, "key"), each));
  }
  const json& other = json_member(answer, "other");
  if (json_number(other, "connections") != 0) rows.push_back(counts_of("(other)", other));
  return text_table(rows, 1);
}

}  // namespace sni
