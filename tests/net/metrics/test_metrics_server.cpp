#include "net/metrics/metrics_server.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "core/limits.h"
#include "net/control/control_address.h"
#include "tests/support/socket_path.h"

using namespace sni;
using namespace sni::test;

namespace {

struct Source : MetricsSource {
  void metrics(MetricsReply reply) override {
    if (!is_late) return reply("a 1\n");
    late.push_back(std::move(reply));
  }
  bool ready() const override { return is_ready; }
  bool is_ready = true;
  bool is_late = false;
  std::vector<MetricsReply> late;
};

// A server that is dispatched by hand, with its own clock.
struct Served {
  Served() {
    path = fresh_socket_path();
    auto listening = MetricsServer::listen("unix:" + path, source);
    REQUIRE_MESSAGE(listening, listening.error().what);
    server = std::move(*listening);
  }
  ~Served() {
    server.reset();
    CHECK(access(path.c_str(), F_OK) != 0);
    remove_directory_of(path);
  }
  UniqueFd connected() {
    UniqueFd fd = UniqueFd::adopt(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const auto address = *control_address(path);
    REQUIRE(connect(fd.get(), as_sockaddr(address), sizeof address) == 0);
    dispatch();
    return fd;
  }
  void dispatch() {
    for (int i = 0; i < 8; ++i) server->dispatch(now);
  }
  // Returns what has arrived by then.
  std::string asked(const UniqueFd& fd, const std::string& bytes) {
    CHECK(send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(bytes.size()));
    dispatch();
    return received(fd);
  }
  std::string received(const UniqueFd& fd) {
    std::array<char, 65'536> bytes;
    const ssize_t size = recv(fd.get(), bytes.data(), bytes.size(), 0);
    if (size < 0) return errno == EAGAIN ? "nothing" : "end";  // Or a reset.
    return size == 0 ? "end" : std::string(bytes.data(), static_cast<std::size_t>(size));
  }

  Source source;
  std::string path;
  std::unique_ptr<MetricsServer> server;
  std::uint64_t now = 1000;
};

const std::string get_metrics = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";

}  // namespace

TEST_CASE("a scraper gets the metrics as often as it asks on one connection") {
  Served served;
  const UniqueFd scraper = served.connected();
  for (int i = 0; i < 3; ++i) {
    CHECK(served.asked(scraper, get_metrics).ends_with("\r\n\r\na 1\n"));
  }
  CHECK_FALSE(served.server->deadline_ms());  // It may stay for the next scrape.
}

TEST_CASE(
    "metrics that come later hold up nobody else, and nobody waits in vain for who has left") {
  Served served;
  served.source.is_late = true;
  const UniqueFd scraper = served.connected();
  UniqueFd left = served.connected();
  CHECK(served.asked(scraper, get_metrics) == "nothing");
  CHECK(served.asked(left, get_metrics) == "nothing");
  const UniqueFd other = served.connected();
  CHECK(served.asked(other, "GET /healthz HTTP/1.1\n\n").starts_with("HTTP/1.1 200 "));
  left.reset();
  served.now += 2 * limits::scrape_timeout_ms;  // The scraper is not the slow part.
  served.dispatch();
  REQUIRE(served.source.late.size() == 2);
  for (const MetricsReply& reply : served.source.late) reply("a 1\n");
  CHECK(served.received(scraper).ends_with("\r\n\r\na 1\n"));
  served.source.is_late = false;
  CHECK(served.asked(scraper, get_metrics).ends_with("a 1\n"));
}

TEST_CASE("readiness follows its source") {
  Served served;
  const UniqueFd client = served.connected();
  CHECK(served.asked(client, "GET /readyz HTTP/1.1\n\n").starts_with("HTTP/1.1 200 "));
  served.source.is_ready = false;
  CHECK(served.asked(client, "GET /readyz HTTP/1.1\n\n").starts_with("HTTP/1.1 503 "));
  CHECK(served.asked(client, "GET /healthz HTTP/1.1\n\n").starts_with("HTTP/1.1 200 "));
}

TEST_CASE("a client that sends half a head, or nothing, is cut after its time") {
  Served served;
  const UniqueFd silent = served.connected();
  const UniqueFd slow = served.connected();
  CHECK(served.asked(slow, "GET /met") == "nothing");
  CHECK(served.server->deadline_ms() == served.now + limits::scrape_timeout_ms);
  served.now += limits::scrape_timeout_ms - 1;
  CHECK(served.asked(slow, "rics HTTP/1.1\r\n") == "nothing");
  served.now += 1;
  served.dispatch();
  CHECK(served.received(silent) == "end");
  CHECK(served.received(slow) == "end");
}

TEST_CASE("a head without end is refused at its bound, and pipelined requests end the connection") {
  Served served;
  const UniqueFd endless = served.connected();
  CHECK(served.asked(endless, "GET / HTTP/1.1\r\na: " + std::string(http_request_max, 'x'))
            .starts_with("HTTP/1.1 431 "));
  CHECK(served.received(endless) == "end");
  const UniqueFd eager = served.connected();
  CHECK(served.asked(eager, get_metrics + get_metrics).ends_with("a 1\n"));
  CHECK(served.received(eager) == "end");
}

TEST_CASE("forgotten clients give way to new ones") {
  Served served;
  std::vector<UniqueFd> forgotten;
  for (std::size_t i = 0; i < limits::scrape_clients_max; ++i) {
    forgotten.push_back(served.connected());
  }
  const UniqueFd scraper = served.connected();
  CHECK(served.asked(scraper, get_metrics).ends_with("a 1\n"));
  CHECK(served.received(forgotten.front()) == "end");
}

TEST_CASE("an address that cannot be had is an error that names it") {
  Source source;
  const auto nowhere = MetricsServer::listen("unix:/nonexistent/metrics.sock", source);
  REQUIRE(!nowhere);
  CHECK(nowhere.error().what.starts_with("cannot serve metrics on /nonexistent/metrics.sock"));
  CHECK(!MetricsServer::listen("192.0.2.1:9443", source));
}
