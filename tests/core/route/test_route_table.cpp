#include "core/route/route_table.h"

#include <doctest/doctest.h>

#include <string>

#include "support/client_hello_builder.h"

using namespace sni;
using sni::test::text_bytes;

namespace {

using Names = std::vector<std::string>;

// A Config with the listeners "tls" (0) and "other" (1), and routes whose backend's text is given.
class Routes {
 public:
  Routes() { config_.listeners = {{.name = "tls"}, {.name = "other"}}; }

  Routes& add(std::string backend, Names names, Names alpn = {}, Names listeners = {"tls"}) {
    RouteConfig route;
    route.names = std::move(names);
    route.backends.push_back({.text = std::move(backend)});
    route.listeners = std::move(listeners);
    route.alpn = std::move(alpn);
    config_.routes.push_back(std::move(route));
    return *this;
  }
  const std::vector<RouteConfig>& list() const { return config_.routes; }
  RouteTable table() const {
    BackendTable backends;
    return {config_, backends};
  }

 private:
  Config config_;
};

constexpr std::string_view none = "(none)";

std::string find(const RouteTable& table, std::string_view name, std::string_view alpn_list = "",
                 std::uint32_t listener = 0) {
  const auto& route = table.find(listener, name, text_bytes(alpn_list));
  return route == nullptr ? std::string(none) : route->backends.front()->backend.text;
}

}  // namespace

TEST_CASE("an exact name comes before a wildcard, and the longest wildcard first") {
  const RouteTable table = Routes()
                               .add("any", {"*"})
                               .add("short", {"*.example"})
                               .add("long", {"*.b.example"})
                               .add("exact", {"a.b.example"})
                               .table();
  CHECK(find(table, "a.b.example") == "exact");
  CHECK(find(table, "x.b.example") == "long");
  CHECK(find(table, "x.y.b.example") == "long");
  CHECK(find(table, "b.example") == "short");
  CHECK(find(table, "x.c.example") == "short");
  CHECK(find(table, "example") == "any");
  CHECK(find(table, "notb.exampl") == "any");
  CHECK(find(table, "") == "any");
}

TEST_CASE("a wildcard stands for one or more whole labels") {
  const RouteTable table = Routes().add("wild", {"*.b.example"}).table();
  CHECK(find(table, "a.b.example") == "wild");
  CHECK(find(table, "x.a.b.example") == "wild");
  CHECK(find(table, "b.example") == none);
  CHECK(find(table, "ab.example") == none);
  CHECK(find(table, "a.b.example.org") == none);
}

TEST_CASE("clients that send no name go to \"-\", and to \"*\" where there is none") {
  const RouteTable table =
      Routes().add("nobody", {"-"}, {"h2"}).add("any", {"*"}).add("a", {"a.example"}).table();
  CHECK(find(table, "", "\x02h2") == "nobody");
  CHECK(find(table, "") == "any");
  CHECK(find(table, "b.example", "\x02h2") == "any");
  CHECK(find(table, "-", "\x02h2") == "any");
  CHECK(find(Routes().add("nobody", {"-"}).table(), "b.example") == none);
}

TEST_CASE("only \"*\" and \"-\" take clients that send no name") {
  CHECK(find(Routes().add("wild", {"*.example", "a.example"}).table(), "") == none);
  CHECK(find(Routes().add("any", {"*"}).table(), "") == "any");
}

TEST_CASE("a name never matches by the text of a pattern") {
  const RouteTable table = Routes().add("wild", {"*.example"}).table();
  CHECK(find(table, "*") == none);
  CHECK(find(table, "example") == none);
  CHECK(find(table, ".") == none);
}

TEST_CASE("alpn narrows a route, and narrowed routes come first") {
  const RouteTable table = Routes()
                               .add("plain", {"a.example"})
                               .add("acme", {"a.example"}, {"acme-tls/1"})
                               .add("h2", {"a.example"}, {"h2", "h3"})
                               .add("second h2", {"a.example"}, {"h2"})
                               .table();
  CHECK(find(table, "a.example") == "plain");
  CHECK(find(table, "a.example", "\x08http/1.1") == "plain");
  CHECK(find(table, "a.example",
             "\x0a"
             "acme-tls/1") == "acme");
  CHECK(find(table, "a.example", "\x08http/1.1\x02h2") == "h2");
  CHECK(find(table, "a.example",
             "\x02h3\x0a"
             "acme-tls/1") == "acme");
  CHECK(find(table, "a.example", "\x03h2x\x01h") == "plain");
}

TEST_CASE("if no route of a name takes the client, the wildcard is tried") {
  const RouteTable table = Routes()
                               .add("h2", {"a.example"}, {"h2"})
                               .add("wild", {"*.example"}, {"http/1.1"})
                               .add("any", {"*"})
                               .table();
  CHECK(find(table, "a.example", "\x02h2\x08http/1.1") == "h2");
  CHECK(find(table, "a.example", "\x08http/1.1") == "wild");
  CHECK(find(table, "a.example") == "any");
}

TEST_CASE("a route serves its own listeners only") {
  const RouteTable table = Routes()
                               .add("tls", {"a.example"})
                               .add("other", {"a.example"}, {}, {"other"})
                               .add("both", {"*"}, {}, {"tls", "other"})
                               .add("unknown", {"b.example"}, {}, {"gone"})
                               .table();
  CHECK(find(table, "a.example", "", 0) == "tls");
  CHECK(find(table, "a.example", "", 1) == "other");
  CHECK(find(table, "b.example", "", 0) == "both");
  CHECK(find(table, "b.example", "", 1) == "both");
  CHECK(find(table, "b.example", "", 2) == none);
}

TEST_CASE("the table outlives the configuration, and a move keeps its routes where they are") {
  RouteTable table = Routes().add("a", {"a.example"}).table();
  const auto before = table.find(0, "a.example", {});
  const RouteTable moved = std::move(table);
  CHECK(moved.find(0, "a.example", {}) == before);
  CHECK(find(moved, "a.example") == "a");
}

TEST_CASE("a probe among 100,000 routes costs the same as among 100") {
  for (const std::size_t count : {100uz, 100'000uz}) {
    Routes routes;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string host = "host" + std::to_string(i) + ".example";
      routes.add(host, {i % 2 == 0 ? host : "*." + host}, {}, {"tls", "other"});
    }
    const RouteTable table = routes.table();
    CHECK(table.probe_cost_max() <= 12);
    CHECK(find(table, "host42.example") == "host42.example");
    CHECK(find(table, "x.host77.example") == "host77.example");
    CHECK(find(table, "x.host42.example") == none);
  }
}

TEST_CASE("a route with the name, listener and alpn of an earlier one is hidden") {
  const Routes routes = Routes()
                            .add("0", {"a.example", "*.example"})
                            .add("1", {"b.example", "a.example"})
                            .add("2", {"a.example"}, {}, {"other"})
                            .add("3", {"*.example"}, {}, {"other", "tls"})
                            .add("4", {"c.example", "c.example"});
  CHECK(hidden_names(routes.list()) == std::vector<HiddenName>{{.route = 1, .name = 1, .by = 0},
                                                               {.route = 3, .name = 0, .by = 0},
                                                               {.route = 4, .name = 1, .by = 4}});
}

TEST_CASE("alpn hides what it covers, and nothing else") {
  const auto hidden = [](Names earlier, Names later) {
    return !hidden_names(Routes()
                             .add("0", {"a"}, std::move(earlier))
                             .add("1", {"a"}, std::move(later))
                             .list())
                .empty();
  };
  CHECK(hidden({}, {}));
  CHECK(hidden({"h2"}, {"h2"}));
  CHECK(hidden({"h2", "h3"}, {"h3"}));
  CHECK_FALSE(hidden({"h2"}, {"h2", "h3"}));
  CHECK_FALSE(hidden({"h2"}, {}));
  CHECK_FALSE(hidden({}, {"h2"}));
}

TEST_CASE("a hidden route is one that the table never finds") {
  const Routes routes =
      Routes().add("0", {"a"}, {"h2", "h3"}).add("1", {"a"}, {"h2"}).add("2", {"a"});
  REQUIRE(hidden_names(routes.list()).size() == 1);
  const RouteTable table = routes.table();
  for (const auto alpn : {"", "\x02h2", "\x02h3", "\x02h3\x02h2", "\x02hx"}) {
    CHECK(find(table, "a", alpn) != "1");
  }
}

TEST_CASE("A route outlives the table that it was found in") {
  RouteRef kept;
  {
    BackendTable backends;
    const Config config{.listeners = {{.name = "a"}},
                        .routes = {{.names = {"a.example"}, .listeners = {"a"}}}};
    kept = RouteTable(config, backends).find(0, "a.example", {});
  }
  REQUIRE(kept != nullptr);
  CHECK(kept->config.names == std::vector<std::string>{"a.example"});
  CHECK(kept.use_count() == 1);
}

TEST_CASE("a route of the table says all that the configuration's says") {
  RouteConfig config{.names = {"a.example"}, .listeners = {"a"}};
  config.refuse = Refuse::alert;
  config.redirect = Redirect::https;
  config.idle = std::chrono::milliseconds(5);
  BackendTable backends;
  const RouteTable table({.listeners = {{.name = "a"}}, .routes = {config}}, backends);
  REQUIRE(table.find(0, "a.example", {}) != nullptr);
  CHECK(table.find(0, "a.example", {})->config == config);
}

TEST_CASE(
    "expressions come after exact and wildcard names, before \"*\", in the order of the file") {
  const RouteTable table = Routes()
                               .add("any", {"*"})
                               .add("first", {R"(/app-\d+\..*/)"})
                               .add("second", {"/nothing/", R"(/app-.*/)"})
                               .add("exact", {"app-1.example"})
                               .add("wild", {"*.wild.example"})
                               .table();
  CHECK(find(table, "app-1.example") == "exact");
  CHECK(find(table, "app-2.wild.example") == "wild");
  CHECK(find(table, "app-2.example") == "first");
  CHECK(find(table, "app-x.example") == "second");
  CHECK(find(table, "web.example") == "any");
  CHECK(find(table, "") == "any");
}

TEST_CASE("an expression holds on its listeners, and for clients of its ALPN") {
  const RouteTable table = Routes()
                               .add("h2", {"/a.*/"}, {"h2"})
                               .add("all", {"/.*/"}, {}, {"tls"})
                               .add("other", {"/b.*/"}, {}, {"other"})
                               .table();
  CHECK(find(table, "a.example", "\x02h2") == "h2");
  CHECK(find(table, "a.example") == "all");
  CHECK(find(table, "b.example", "", 1) == "other");
  CHECK(find(table, "a.example", "", 1) == none);
  CHECK(find(table, "a.example", "", 7) == none);
  CHECK(find(table, "") == none);
}

TEST_CASE("a backend's host is made of the groups of the first expression that takes the name") {
  RouteConfig config;
  config.names = {R"(/(\w+)\.a\.example/)", R"(/(\w+)\..*/)"};
  config.backends = {{.kind = Backend::Kind::captured_name, .host = R"(\1.internal)"}};
  BackendTable backends;
  const Route route = make_route(config, backends);
  CHECK(route.captured_host(config.backends[0], "web.a.example") == "web.internal");
  CHECK(route.captured_host(config.backends[0], "db.b.example") == "db.internal");
  CHECK(route.captured_host(config.backends[0], "none").empty());
}
