#include "net/control/traffic_answer.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace sni;

TEST_CASE("traffic is reported by key, with the rest in one sum") {
  const TrafficReport report{
      .rows = {{.key = "a.example",
                .count = {.connections = 3, .to_backend = 10, .to_client = 20}}},
      .other = {.connections = 1, .to_backend = 2, .to_client = 3}};
  CHECK(traffic_answer(TrafficKind::name, report) == nlohmann::json::parse(R"({"by": "name",
            "rows": [{"key": "a.example", "connections": 3, "client_bytes": 10,
                      "server_bytes": 20}],
            "other": {"connections": 1, "client_bytes": 2, "server_bytes": 3}})"));
}
