// Backends as text: each form, its edges, and what is refused with which reason.

#include "core/route/backend.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace sni;

namespace {

Backend parsed(std::string_view text) {
  const Result<Backend> backend = parse_backend(text);
  CAPTURE(text);
  REQUIRE(backend.has_value());
  return *backend;
}

std::string refusal(std::string_view text) {
  const Result<Backend> backend = parse_backend(text);
  return backend ? "taken" : backend.error().what;
}

}  // namespace

TEST_CASE("an address and port is an endpoint") {
  const Backend v4 = parsed("10.0.0.5:8443");
  CHECK(v4.kind == Backend::Kind::address);
  CHECK(v4.endpoint == *parse_endpoint("10.0.0.5:8443"));
  CHECK(v4.port == 8443);
  CHECK(v4.text == "10.0.0.5:8443");
  CHECK(parsed("[2001:db8::5]:1").endpoint == *parse_endpoint("[2001:db8::5]:1"));
  CHECK(parsed("[fe80::1%2]:1").endpoint.scope == 2);
}

TEST_CASE("a link-local backend may name its interface") {
  const InterfaceLookup interfaces = [](std::string_view name) {
    return name == "eth0" ? std::optional<std::uint32_t>(7) : std::nullopt;
  };
  const auto there = parse_backend("[fe80::1%eth0]:443", interfaces);
  REQUIRE(there);
  CHECK(there->endpoint == *parse_endpoint("[fe80::1%7]:443"));
  CHECK(there->text == "[fe80::1%eth0]:443");
  const auto gone = parse_backend("[fe80::1%eth9]:443", interfaces);
  REQUIRE_FALSE(gone);
  CHECK(gone.error().what ==
        "'[fe80::1%eth9]:443' has no network interface of this host after its '%'");
}

TEST_CASE("the dot at the end of a name is kept, and is no other name without") {
  CHECK(parsed("db.example.:443").host == "db.example.");
  CHECK(parsed("db.example:443").host == "db.example");
}

TEST_CASE("a name and port is a name in lower case") {
  const Backend backend = parsed("App_1.Internal.:65535");
  CHECK(backend.kind == Backend::Kind::name);
  CHECK(backend.host == "app_1.internal.");
  CHECK(backend.port == 65'535);
  CHECK(backend.text == "App_1.Internal.:65535");
  CHECK(parsed("localhost:1").host == "localhost");
}

TEST_CASE("the requested name stands for the whole host") {
  const Backend backend = parsed("{name}:443");
  CHECK(backend.kind == Backend::Kind::requested_name);
  CHECK(backend.port == 443);
  CHECK(backend.host.empty());
  const std::string reason = " has braces; \"{name}\" must be the whole host, as in \"{name}:443\"";
  for (const std::string text : {"{name}.internal:443", "x{name}:443", "{host}:443", "{name:443",
                                 "{Name}:443", "{name}{name}:443"}) {
    CHECK(refusal(text) == "'" + text + "'" + reason);
  }
}

TEST_CASE("a host may have groups of the expression that took the client") {
  const Backend backend = parsed(R"(\1-\2.Internal:8443)");
  CHECK(backend.kind == Backend::Kind::captured_name);
  CHECK(backend.host == R"(\1-\2.internal)");
  CHECK(backend.port == 8443);
  CHECK(backend.is_of_client());
  CHECK(parsed(R"(\1:443)").host == R"(\1)");
  CHECK(parsed(R"(10.0.0.\1:443)").host == R"(10.0.0.\1)");
  for (const std::string text : {R"(\0.internal:443)", R"(\x.internal:443)", R"(a..\1:443)",
                                 R"(\1.in ternal:443)", R"(\:443)"}) {
    CAPTURE(text);
    CHECK(refusal(text).ends_with(
        R"( is not a host name with groups ("\1" to "\9") of a regular expression)"));
  }
}

TEST_CASE("a service has its ports by DNS") {
  const Backend backend = parsed("srv:_https._TCP.Example.internal.");
  CHECK(backend.kind == Backend::Kind::service);
  CHECK(backend.host == "srv:_https._tcp.example.internal");
  CHECK(backend.text == "srv:_https._TCP.Example.internal.");
  for (const std::string text : {"srv:", "srv:example.internal", "srv:_https.example",
                                 "srv:_https._tcp.a:443", "srv:_https._tcp.a b", "srv:_https"}) {
    CHECK(refusal(text) == "'" + text +
                               "' is not a service, as in \"srv:_https._tcp.example.internal\"; "
                               "its ports come by DNS");
  }
}

TEST_CASE("a UNIX socket has an absolute path that fits") {
  const Backend backend = parsed("unix:/run/app.sock");
  CHECK(backend.kind == Backend::Kind::unix_path);
  CHECK(backend.host == "/run/app.sock");
  CHECK(backend.port == 0);
  CHECK(parsed("unix:/" + std::string(106, 'a')).host.size() == 107);
  CHECK(refusal("unix:/" + std::string(107, 'a'))
            .ends_with(" is longer than the 107 bytes that a UNIX socket can have"));
  CHECK(refusal("unix:run/app.sock") == "'run/app.sock' is not an absolute path");
  CHECK(refusal("unix:") == "'' is not an absolute path");
  CHECK(refusal(std::string_view("unix:/a\0b", 9)) == "'/a\\x00b' is not an absolute path");
}

TEST_CASE("a backend without a port is refused") {
  for (const std::string text : {"", "a.example", "[2001:db8::5]"}) {
    CHECK(refusal(text) ==
          "'" + text +
              "' has no port; write \"address:port\", \"[v6-address]:port\", \"name:port\", "
              "\"unix:/path\" or \"{name}:port\"");
  }
  CHECK(refusal("10.0.0.5") == "'10.0.0.5' has no port; did you mean '10.0.0.5:443'?");
  CHECK(refusal("2001:db8::5") == "'2001:db8::5' has no port; did you mean '[2001:db8::5]:443'?");
  CHECK(refusal("2001:db8::5:443") ==
        "'2001:db8::5:443' has an IPv6 address without brackets; did you mean "
        "'[2001:db8::5]:443'?");
  CHECK(refusal(":443") == "':443' has no host before the port; this host is \"127.0.0.1:443\"");
  for (const std::string text : {"a.example:", "a.example:0", "a.example:65536", "a.example:0443",
                                 "a.example:https", "10.0.0.5:-1", "{name}:0", "[::1]:0"}) {
    CHECK(refusal(text) == "'" + text + "' must end in a port from 1 to 65535");
  }
}

TEST_CASE("what looks like an address must be one, and one to connect to") {
  for (const std::string text :
       {"10.0.0.256:1", "10.1:1", "0x7f000001:1", "[10.0.0.5]:1", "[::g]:1"}) {
    CHECK(refusal(text) == "'" + text + "' is neither address:port nor name:port");
  }
  for (const std::string text : {"0.0.0.0:1", "[::]:1", "224.0.0.1:1", "[ff02::1]:1"}) {
    CHECK(refusal(text) == "'" + text + "' is not an address to connect to");
  }
  CHECK(refusal("[fe80::1]:1") ==
        "'[fe80::1]:1' is link-local and needs its interface, as in "
        "\"[fe80::1%eth0]:443\"");
  for (const auto& [text, meant] : {std::pair{"https://a.example:1", "a.example:1"},
                                    std::pair{"http://a.example/x", "a.example:80"},
                                    std::pair{"https://10.0.0.1", "10.0.0.1:443"}}) {
    CHECK(refusal(text) == "'" + std::string(text) +
                               "' is a URL, and bytes are passed on as they come; did you mean '" +
                               meant + "'?");
  }
  for (const std::string text : {"a..b:1", "-:a:1", "a b:1"}) {
    CHECK(refusal(text) == "'" + text + "' has no valid host name before the port");
  }
}
