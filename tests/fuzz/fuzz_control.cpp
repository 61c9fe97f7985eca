// Any bytes as a line on the control socket: never a crash, and always an answer of one line of
// JSON, which clients rely on.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/control/control_message.h"
#include "core/limits.h"
#include "fuzz/property.h"

using namespace sni;
using nlohmann::json;
using sni::test::require;

namespace {

std::string answer(std::string_view line) {
  const auto request = parse_control_request(line);
  if (!request) return control_refusal(request.error().what);
  require((*request)["command"].is_string(), "a request has a command");
  const auto prefix = requested_prefix(*request);
  if (!prefix) return control_refusal(prefix.error().what);
  const auto seconds = requested_seconds(*request);
  if (!seconds) return control_refusal(seconds.error().what);
  require(!*seconds || (**seconds >= 1 && **seconds <= limits::block_for_max_s),
          "a time is within its bounds");
  const auto position = requested_position(*request);
  if (!position) return control_refusal(position.error().what);
  const auto again = parse_prefix(prefix->to_string());
  require(again && *again == *prefix, "what is printed reads back");
  return control_answer({{"prefix", prefix->to_string()}});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text =
      answer({reinterpret_cast<const char*>(data), std::min(size, limits::control_request_max)});
  require(!text.contains('\n'), "an answer is one line");
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  require(parsed.is_object() && parsed["version"] == control_version, "an answer is JSON");
  return 0;
}
