// Any bytes as stats.file: never a crash, and a store of bounded size that is the same once it is
// written and read again, or an error.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/traffic/traffic_store.h"
#include "fuzz/property.h"

using namespace sni;
using sni::test::require;

namespace {

bool same(const TrafficReport& a, const TrafficReport& b) {
  return a.other == b.other && std::ranges::equal(a.rows, b.rows, [](const auto& x, const auto& y) {
           return x.key == y.key && x.count == y.count;
         });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto store = parse_traffic_store({reinterpret_cast<const char*>(data), size});
  if (!store) {
    require(!store.error().what.empty(), "an error says something");
    return 0;
  }
  const std::string text = traffic_store_text(*store);
  const auto again = parse_traffic_store(text);
  require(again.has_value(), "what is written can be read");
  require(again->since_s == store->since_s, "the begin stays");
  for (std::size_t i = 0; i < traffic_kinds; ++i) {
    const TrafficReport& report = store->reports[i];
    require(report.rows.size() <= limits::traffic_entries, "rows are bounded");
    require(same(report, again->reports[i]), "traffic stays");
  }
  require(traffic_store_text(*again) == text, "a store has one text");
  return 0;
}
