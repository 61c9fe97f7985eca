#include "core/route/explain.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "support/config_mistakes.h"

using namespace sni;

namespace {

using Lines = std::vector<std::string>;

constexpr std::chrono::sys_seconds now{std::chrono::seconds(1'800'000'000)};

Config config() {
  return read_valid(R"(
[[listener]]
name = "https"
address = "0.0.0.0:443"
[[listener]]
name = "plain"
address = "0.0.0.0:80"
protocol = "http"
[[route]]
names = ["example.com", "*.example.com"]
backend = ["10.0.0.5:8443", "spare.internal:8443"]
[[route]]
names = ["*.deep.example.com"]
alpn = ["h2"]
backend = "10.0.0.6:8443"
[[route]]
names = ["*.old.example"]
refuse = "alert"
[[route]]
names = ["*"]
backend = "{name}:443"
[[route]]
names = ["only.plain.example"]
listeners = ["plain"]
backend = "10.0.0.7:80"
[access]
block = ["192.0.2.0/24", "198.51.100.0/24 until 2026-01-01T00:00:00Z"]
allow = ["192.0.2.7"]
)");
}

Explanation explained(const ExplainQuestion& question) {
  const auto result = explain(config(), {}, question, now);
  REQUIRE(result);
  return *result;
}

}  // namespace

TEST_CASE("a name is explained by listener, route, backends and the matching rule") {
  const Explanation exact = explained({.name = "Example.COM."});
  CHECK(exact.served);
  CHECK(exact.lines == Lines{"listener https (0.0.0.0:443, tls)", "name example.com",
                             "route example.com, by its name example.com",
                             "backend 10.0.0.5:8443, then spare.internal:8443"});
  CHECK(explained({.name = "a.b.example.com"}).lines[2] ==
        "route example.com, by its name *.example.com");
  CHECK(explained({.name = "other.example"}).lines[3] == "backend {name}:443 (other.example:443)");
  CHECK(explained({}).lines[1] == "name none");
  CHECK(explained({.name = "only.plain.example", .listener = "plain"}).lines[3] ==
        "backend 10.0.0.7:80");
}

TEST_CASE("ALPN decides between routes of one name") {
  CHECK(explained({.name = "x.deep.example.com"}).lines[2] ==
        "route example.com, by its name *.example.com");
  const Explanation h2 = explained({.name = "x.deep.example.com", .alpn = {"h2"}});
  CHECK(h2.lines[2] == "route *.deep.example.com, by its name *.deep.example.com and its alpn h2");
}

TEST_CASE("a client that is not served gets the reason") {
  const Explanation refused = explained({.name = "a.old.example"});
  CHECK_FALSE(refused.served);
  CHECK(refused.lines.back() == "no backend: the route refuses");
  const Explanation none = explained({.name = "other.example", .listener = "plain"});
  CHECK_FALSE(none.served);
  CHECK(none.lines.back() == "no route takes it on this listener");
}

TEST_CASE("a source is judged by the lists, of which the allowlist wins") {
  const auto source = [](const char* address) {
    return explained({.name = "example.com", .source = parse_ip(address)});
  };
  CHECK(source("192.0.2.7").lines[1] == "source 192.0.2.7: allowed by 192.0.2.7 in access.allow");
  const Explanation blocked = source("192.0.2.8");
  CHECK_FALSE(blocked.served);
  CHECK(blocked.lines.back() == "source 192.0.2.8: blocked by 192.0.2.0/24 in access.block");
  CHECK(source("198.51.100.1").lines[1] == "source 198.51.100.1: in no list, so it is let in");
}

TEST_CASE("a question that makes no sense is refused") {
  CHECK_FALSE(explain(config(), {}, {.name = "a b"}, now));
  CHECK_FALSE(explain(config(), {}, {.name = "a.example:443"}, now));
  CHECK_FALSE(explain(config(), {}, {.name = "a.example", .listener = "none"}, now));
  CHECK_FALSE(explain(config(), {}, {.name = "a.example", .alpn = {""}}, now));
}

TEST_CASE("a backend behind an upstream is shown with it") {
  const Config by_upstream = read_valid(R"(
    listener = [{ name = "https", address = "0.0.0.0:443" }]
    upstream = [{ name = "exit", address = "10.0.0.7:1080" }]
    route = [{ names = ["*"], backend = "{name}:443", via = "exit" }]
  )");
  const auto result = explain(by_upstream, {}, {.name = "a.example"}, now);
  REQUIRE(result);
  CHECK(result->served);
  CHECK(result->lines.back() ==
        "backend {name}:443 (a.example:443) by upstream exit (10.0.0.7:1080)");
}

TEST_CASE("by source_hash the backends come in the order of the source, backups last") {
  const Config hashed = read_valid(R"(
    listener = [{ name = "https", address = "0.0.0.0:443" }]
    route = [{ names = ["*"], balance = "source_hash", backend = [
      "10.0.0.1:443", "10.0.0.2:443", { address = "10.0.0.9:443", backup = true }] }]
  )");
  const auto ask = [&](std::optional<IpAddress> source) {
    return explain(hashed, {}, {.name = "a.example", .source = source}, now)->lines.back();
  };
  CHECK(ask({}) == "backend 10.0.0.1:443 or 10.0.0.2:443, then 10.0.0.9:443, by source_hash");
  std::set<std::string> orders;
  for (int i = 0; i < 32; ++i) orders.insert(ask(parse_ip("192.0.2." + std::to_string(i))));
  CHECK(orders ==
        std::set<std::string>{
            "backend 10.0.0.1:443, then 10.0.0.2:443, then 10.0.0.9:443, by source_hash",
            "backend 10.0.0.2:443, then 10.0.0.1:443, then 10.0.0.9:443, by source_hash"});
}

TEST_CASE("the access of a route is explained for a source") {
  const Config closed = read_valid(R"(
[[listener]]
name = "https"
address = "0.0.0.0:443"
[[route]]
names = ["a.example"]
backend = "10.0.0.5:8443"
refuse = "drop"
access = { allow = ["192.0.2.7"], default = "deny" }
)");
  const auto ask = [&](std::optional<IpAddress> source) {
    return *explain(closed, {}, {.name = "a.example", .source = source}, now);
  };
  CHECK(ask({}).served);
  const Explanation allowed = ask(parse_ip("192.0.2.7"));
  CHECK(allowed.served);
  CHECK(allowed.lines[4] == "source 192.0.2.7: allowed by 192.0.2.7 in the route's access.allow");
  const Explanation denied = ask(parse_ip("192.0.2.8"));
  CHECK_FALSE(denied.served);
  CHECK(denied.lines.back() ==
        "source 192.0.2.8: in no list, and the route's access.default is \"deny\"");
}

TEST_CASE("a matching expression is shown, and where its groups lead") {
  const Config expressions = read_valid(R"(
[[listener]]
name = "https"
address = "0.0.0.0:443"
[[route]]
names = ['/(\w+)\.apps\.example/']
backend = '\1.internal:443'
[[route]]
names = ["*"]
backend = "10.0.0.5:8443"
)");
  const auto ask = [&](std::string name) {
    return explain(expressions, {}, {.name = std::move(name)}, now)->lines;
  };
  CHECK(
      ask("Web.Apps.example") ==
      Lines{
          "listener https (0.0.0.0:443, tls)", "name web.apps.example",
          R"(route /(\w+)\.apps\.example/, by its name /(\w+)\.apps\.example/, a regular expression)",
          R"(backend \1.internal:443 (web.internal:443))"});
  CHECK(ask("other.example").back() == "backend 10.0.0.5:8443");
}
