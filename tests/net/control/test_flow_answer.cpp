#include "net/control/flow_answer.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace sni;

TEST_CASE("a connection is told with the keys of the access line, and its name escaped") {
  FlowPage page;
  page.flows.push_back({.serial = (std::uint64_t{1} << 48) + 2,
                        .client = *parse_endpoint("192.0.2.7:40112"),
                        .listener = "https",
                        .server_name = "a\xff\n",
                        .route = "*",
                        .backend = "10.0.0.5:8443",
                        .age_ms = 1500,
                        .rate = 9,
                        .progress = {.phase = Phase::relaying,
                                     .plane = PlaneId::userspace,
                                     .to_backend = 10,
                                     .to_client = 20,
                                     .idle_ms = 5}});
  const auto answer = flow_answer(page, std::nullopt);
  CHECK(answer.at("next").is_null());
  CHECK(answer.at("connections").at(0) == nlohmann::json{{"id", "1-2"},
                                                         {"client", "192.0.2.7:40112"},
                                                         {"listener", "https"},
                                                         {"server_name", "a\\xff\\x0a"},
                                                         {"route", "*"},
                                                         {"backend", "10.0.0.5:8443"},
                                                         {"state", "relaying"},
                                                         {"plane", "userspace"},
                                                         {"client_bytes", 10},
                                                         {"server_bytes", 20},
                                                         {"rate", 9},
                                                         {"age_ms", 1500},
                                                         {"idle_ms", 5}});
}

TEST_CASE("pages go on in the same worker while it has more, then in the next one") {
  const FlowPosition at{.worker = 1, .place = 64};
  FlowPage page{.next = 4096};
  auto next = position_after(at, &page, 2);
  REQUIRE(next);
  CHECK(next->worker == 1);
  CHECK(next->place == 4096);
  page.next.reset();
  for (const FlowPage* ended : {&page, static_cast<FlowPage*>(nullptr)}) {
    next = position_after(at, ended, 2);
    REQUIRE(next);
    CHECK(next->worker == 2);
    CHECK(next->place == 0);
    CHECK_FALSE(position_after(at, ended, 1));
  }
}

TEST_CASE("a position is one number on the wire") {
  const FlowPosition at{.worker = 7, .place = UINT32_MAX};
  const FlowPosition back = flow_position(flow_position_number(at));
  CHECK(back.worker == 7);
  CHECK(back.place == UINT32_MAX);
  CHECK(flow_position(0).worker == 0);
}
