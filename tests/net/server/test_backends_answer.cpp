#include "net/server/backends_answer.h"

#include <doctest/doctest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/limits.h"
#include "core/route/backend.h"
#include "core/route/backend_lease.h"

using namespace sni;

namespace {

BackendRef entry(BackendTable& table, const std::string& text) {
  return table.intern(*parse_backend(text));
}

}  // namespace

TEST_CASE("each backend that is named tells its state and its connections") {
  BackendTable table;
  const auto board = std::make_unique<EndpointBoard>(SipKey{1, 2});
  const BackendRef up = entry(table, "10.0.0.1:443");
  const BackendRef out = entry(table, "10.0.0.2:443");
  const BackendRef name = entry(table, "app.example:443");
  const BackendRef local = entry(table, "unix:/run/app.sock");
  entry(table, "10.0.0.9:443");  // No route names it any more.
  board->add(board->id_of(out->backend.endpoint), true, 1000, 1000);
  board->add(board->id_of("/run/app.sock"), true, 1000, 1000);
  const BackendLease lease(*up, nullptr);
  const auto answer = backends_answer(table, *board, 0);
  REQUIRE(answer["backends"].size() == 4);
  CHECK(answer["next"].is_null());
  CHECK(answer["backends"][0] == nlohmann::json{{"id", up->id},
                                                {"backend", "10.0.0.1:443"},
                                                {"state", "up"},
                                                {"connections", 1},
                                                {"max_connections", 0},
                                                {"queued", 0},
                                                {"health", nullptr},
                                                {"addresses", nlohmann::json::array()}});
  CHECK(answer["backends"][1]["state"] == "out");
  CHECK(answer["backends"][2]["state"].is_null());
  CHECK(answer["backends"][3]["state"] == "out");
}

TEST_CASE("a long list comes in pages") {
  BackendTable table;
  const auto board = std::make_unique<EndpointBoard>(SipKey{1, 2});
  std::vector<BackendRef> kept;
  for (std::size_t i = 0; i < limits::control_page_entries + 1; ++i) {
    kept.push_back(entry(table, "10.0.0.1:" + std::to_string(i + 1)));
  }
  const auto first = backends_answer(table, *board, 0);
  CHECK(first["backends"].size() == limits::control_page_entries);
  const auto last = backends_answer(table, *board, first["next"].get<std::size_t>());
  CHECK(last["backends"].size() == 1);
  CHECK(last["next"].is_null());
  CHECK(backends_answer(table, *board, 5000)["backends"].empty());
}

TEST_CASE("a backend is taken out and back by its text") {
  BackendTable table;
  const BackendRef one = entry(table, "10.0.0.1:443");
  CHECK(switch_backends(table, "10.0.0.2:443", true).found == 0);
  CHECK(switch_backends(table, "10.0.0.1:443", true).changed == 1);
  CHECK(one->disabled);
  CHECK(switch_backends(table, "10.0.0.1:443", true).changed == 0);
  CHECK(switch_backends(table, "10.0.0.1:443", false).changed == 1);
  CHECK_FALSE(one->disabled);
}
