#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "support/echo_backend.h"
#include "support/worker_harness.h"

using namespace sni;
using namespace sni::test;

namespace {

// Asks the first worker, and waits for its answer.
template <typename Page = FlowPage, typename Question>
Page asked(WorkerHarness& proxy, Question question) {
  const auto gather = std::move(*Gather::create());
  Page page;
  bool done = false;
  auto tickets = gather->ask(1, UINT64_MAX, [&](const Gather::Answers& answers) {
    page = std::any_cast<Page>(answers.front());
    done = true;
  });
  proxy.worker().tell(
      Ask{.question = [question](Worker& worker) { return std::any(question(worker)); },
          .ticket = std::move(tickets.front())});
  REQUIRE(eventually([&] {
    gather->dispatch(0);
    return done;
  }));
  return page;
}

FlowPage listed(WorkerHarness& proxy, const FlowFilter& filter = {}, std::uint32_t from = 0) {
  return asked(proxy, [=](Worker& worker) { return worker.list_flows(filter, from); });
}

FlowPage killed(WorkerHarness& proxy, const FlowFilter& filter, std::uint32_t from = 0) {
  return asked(proxy, [=](Worker& worker) { return worker.kill_flows(filter, from); });
}

FlowFilter named(const char* name) {
  FlowFilter filter;
  filter.name = name;
  return filter;
}

// A client whose hello came back from the echo.
TcpPeer served(WorkerHarness& proxy, std::string_view name) {
  TcpPeer client = proxy.connect_to(name);
  const Bytes hello = hello_for(name);
  REQUIRE(client.receive(hello.size()) == hello);
  return client;
}

}  // namespace

TEST_CASE("a list tells of each connection what its line will tell, while it lives") {
  EchoBackend backend;
  WorkerHarness proxy(config_for(backend.endpoint()));
  proxy.start();
  TcpPeer client = served(proxy, "a.example");
  const std::uint64_t hello = hello_for("a.example").size();
  client.send("12345");
  REQUIRE(client.receive_text(5) == "12345");
  TcpPeer silent = proxy.connect();
  REQUIRE(eventually([&] { return listed(proxy).flows.size() == 2; }));
  const FlowPage page = listed(proxy, named("a.example"));
  CHECK_FALSE(page.next);
  REQUIRE(page.flows.size() == 1);
  const LiveFlow& flow = page.flows.front();
  CHECK(flow.serial == 1);
  CHECK(flow.listener == "main");
  CHECK(flow.route == "*");
  CHECK(flow.backend == backend.endpoint().to_string());
  CHECK(flow.progress.phase == Phase::relaying);
  CHECK(flow.progress.plane == PlaneId::userspace);
  CHECK(flow.progress.to_backend == hello + 5);
  CHECK(flow.progress.to_client == hello + 5);
  CHECK(flow.progress.idle_ms <= flow.age_ms);
  const FlowPage waiting = listed(proxy, named(""));
  REQUIRE(waiting.flows.size() == 1);
  CHECK(waiting.flows.front().progress.phase == Phase::hello);
  CHECK(waiting.flows.front().backend.empty());
}

TEST_CASE("a killed connection ends at both sides, and is counted by that name") {
  TcpListener listener;
  WorkerHarness proxy(config_for(listener.endpoint()));
  proxy.start();
  TcpPeer client = proxy.connect_to("a.example");
  TcpPeer backend = listener.accept();
  TcpPeer other = proxy.connect_to("b.example");
  TcpPeer other_backend = listener.accept();
  REQUIRE(eventually([&] { return listed(proxy, named("a.example")).flows.size() == 1; }));
  CHECK(killed(proxy, named("a.example")).killed == 1);
  CHECK(client.receive_rest().bytes.empty());
  CHECK(backend.receive_rest().bytes == hello_for("a.example"));
  CHECK(eventually([&] { return proxy.ended(EndReason::killed) == 1; }));
  CHECK(killed(proxy, named("a.example")).killed == 0);
  CHECK(listed(proxy).flows.size() == 1);
  other_backend.send("on");
  CHECK(other.receive_text(2) == "on");
}

TEST_CASE("connections can be killed in every phase before their backend is up") {
  TcpListener unused;
  WorkerHarness proxy(config_for(unused.endpoint()));
  proxy.start();
  std::vector<TcpPeer> clients;
  clients.push_back(proxy.connect());
  clients.push_back(proxy.connect());
  const Bytes hello = hello_for("a.example");
  clients.back().send(std::span(hello).first(20));
  REQUIRE(eventually([&] { return listed(proxy).flows.size() == 2; }));
  CHECK(killed(proxy, named("")).killed == 2);
  CHECK(eventually([&] { return proxy.ended(EndReason::killed) == 2; }));
  CHECK(proxy.becomes_empty());
}

TEST_CASE("more connections than a page has come page by page, each once, and so they are killed") {
  constexpr std::size_t many = flow_page_flows + 88;
  WorkerHarness proxy(config_for(loopback(9)));
  proxy.start();
  std::vector<TcpPeer> clients;
  for (std::size_t i = 0; i < many; ++i) clients.push_back(proxy.connect());
  REQUIRE(eventually([&] { return proxy.shared().connections.load() == many; }));
  const FlowPage first = listed(proxy);
  CHECK(first.flows.size() == flow_page_flows);
  REQUIRE(first.next);
  const FlowPage second = listed(proxy, {}, *first.next);
  CHECK(second.flows.size() == many - flow_page_flows);
  CHECK_FALSE(second.next);
  CHECK(listed(proxy, {}, UINT32_MAX).flows.empty());
  CHECK(killed(proxy, named("")).killed == flow_page_flows);
  CHECK(killed(proxy, named(""), *first.next).killed == many - flow_page_flows);
  CHECK(proxy.becomes_empty());
}

TEST_CASE("traffic of a connection counts while it lives, and once over its life") {
  EchoBackend backend;
  WorkerHarness proxy(config_for(backend.endpoint()));
  proxy.start();
  const auto by_name = [&] {
    const auto page = asked<TrafficPage>(
        proxy, [](Worker& worker) { return worker.traffic({TrafficKind::name}, 0); });
    REQUIRE(page.reports.size() == 1);
    return page.reports.front().rows;
  };
  const std::uint64_t hello = hello_for("a.example").size();
  {
    TcpPeer client = served(proxy, "a.example");
    TcpPeer silent = proxy.connect();
    const auto rows = by_name();
    REQUIRE(rows.size() == 1);
    CHECK(rows.front().key == "a.example");
    CHECK(rows.front().count ==
          TrafficCount{.connections = 1, .to_backend = hello, .to_client = hello});
    client.send("12345");
    REQUIRE(client.receive_text(5) == "12345");
    CHECK(by_name().front().count.bytes() == 2 * (hello + 5));
  }
  REQUIRE(proxy.becomes_empty());
  for (const TrafficRow& row : by_name()) {
    CHECK(row.count.connections == 1);
    CHECK(row.count.bytes() == (row.key.empty() ? 0 : 2 * (hello + 5)));
  }
}
