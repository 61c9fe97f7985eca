#include "core/control/flow_filter.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

using namespace sni;
using nlohmann::json;

namespace {

struct Flow {
  Flow() {
    backend.text = "app.internal:8443";
    record.serial = (std::uint64_t{1} << 48) + 7;
    record.client = *parse_endpoint("192.0.2.7:40112");
    record.server_name = "www.example.com";
    record.backend = &backend;
    record.backend_address = *parse_endpoint("10.0.0.5:8443");
  }
  bool is_found(const json& request) const { return requested_flows(request)->matches(record); }

  Backend backend;
  FlowRecord record;
};

}  // namespace

TEST_CASE("a connection is found by id, name, source and backend") {
  const Flow flow;
  for (const json& found :
       {json::object(), json{{"id", "1-7"}}, json{{"name", "www.example.com"}},
        json{{"name", "WWW.Example.com"}}, json{{"name", "*.example.com"}},
        json{{"source", "192.0.2.0/24"}}, json{{"source", "192.0.2.7"}},
        json{{"backend", "app.internal:8443"}}, json{{"backend", "10.0.0.5:8443"}},
        json{{"name", "*.com"}, {"source", "192.0.2.7"}}}) {
    CAPTURE(found.dump());
    CHECK(flow.is_found(found));
  }
  for (const json& other :
       {json{{"id", "0-7"}}, json{{"name", "example.com"}}, json{{"name", ""}},
        json{{"name", "*.www.example.com"}}, json{{"source", "192.0.2.8"}},
        json{{"backend", "10.0.0.5:443"}}, json{{"name", "*.com"}, {"source", "192.0.2.8"}}}) {
    CAPTURE(other.dump());
    CHECK_FALSE(flow.is_found(other));
  }
}

TEST_CASE("a client without a name is found by the empty one, and has no backend at first") {
  Flow flow;
  flow.record.server_name.clear();
  flow.record.backend = nullptr;
  CHECK(flow.is_found({{"name", ""}}));
  CHECK_FALSE(flow.is_found({{"backend", "app.internal:8443"}}));
}

TEST_CASE("an invalid condition is refused with the reason") {
  const auto error = [](const json& request) { return requested_flows(request).error().what; };
  CHECK(error({{"id", "seven"}}) == "'seven' is not an id of a connection, as in 1-42");
  CHECK(error({{"id", 7}}) == "id is not a string");
  CHECK(error({{"name", json::array()}}) == "name is not a string");
  CHECK(error({{"source", "192.0.2.1/24"}}).find("192.0.2.0/24") != std::string::npos);
  CHECK(requested_flows(json::object())->empty());
}
