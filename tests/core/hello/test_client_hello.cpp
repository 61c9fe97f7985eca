#include "core/hello/client_hello.h"

#include <doctest/doctest.h>

#include <string>

#include "support/client_hello_builder.h"

using namespace sni;
using namespace sni::test;

namespace {

bool fails_as(FlightError error, const ClientHelloBuilder& builder) {
  const auto flight = parse_client_hello(builder.body());
  return !flight && flight.error().error == error;
}

bool malformed(const ClientHelloBuilder& builder) {
  return fails_as(FlightError::malformed, builder);
}

bool badly_named(const ClientHelloBuilder& builder) {
  return fails_as(FlightError::bad_name, builder);
}

std::string name_of(const ClientHelloBuilder& builder) {
  const auto flight = parse_client_hello(builder.body());
  REQUIRE(flight.has_value());
  return std::string(flight->name());
}

std::uint16_t version_of(const ClientHelloBuilder& builder) {
  const auto flight = parse_client_hello(builder.body());
  REQUIRE(flight.has_value());
  return flight->version;
}

ClientHelloBuilder with_extension(std::uint16_t type, const Bytes& content) {
  return ClientHelloBuilder().extension(type, content);
}

// A server_name extension from {type, name} entries.
Bytes name_list(std::initializer_list<std::pair<std::uint8_t, std::string_view>> entries) {
  Bytes list;
  for (const auto& [type, name] : entries) {
    list.push_back(type);
    append(list, prefixed(2, text_bytes(name)));
  }
  return prefixed(2, list);
}

constexpr std::uint16_t server_name = 0;
constexpr std::uint16_t alpn = 16;
constexpr std::uint16_t supported_versions = 43;

}  // namespace

TEST_CASE("a browser's hello has name, protocols, version and ECH") {
  const Bytes body = browser_hello("WWW.Example.").body();
  const auto flight = parse_client_hello(body);
  REQUIRE(flight.has_value());
  CHECK(flight->name() == "www.example");
  CHECK(std::ranges::equal(flight->alpn_list, text_bytes("\x02h2\x08http/1.1")));
  CHECK(flight->alpn_list.data() > body.data());
  CHECK(flight->alpn_list.data() < body.data() + body.size());
  CHECK(flight->version == 0x0304);
  CHECK(flight->ech);
}

TEST_CASE("a hello without extensions, or without a name, is valid and has no name") {
  CHECK(name_of(ClientHelloBuilder()) == "");
  CHECK(name_of(ClientHelloBuilder().empty_extensions()) == "");
  CHECK(name_of(ClientHelloBuilder().alpn({"h2"})) == "");
  CHECK(parse_client_hello(ClientHelloBuilder().body())->alpn_list.empty());
  CHECK_FALSE(parse_client_hello(ClientHelloBuilder().body())->ech);
}

TEST_CASE("an address literal in SNI counts as no name") {
  CHECK(name_of(ClientHelloBuilder().server_name("192.0.2.1")) == "");
  CHECK(name_of(ClientHelloBuilder().server_name("2001:db8::1")) == "");
}

TEST_CASE("names that are empty, hold a NUL, or are no host names have a reason of their own") {
  using namespace std::string_view_literals;
  for (const auto name :
       {""sv, "\0"sv, "a\0.example"sv, "a.example\0"sv, "a b"sv, "."sv, "a..b"sv}) {
    CAPTURE(name);
    const Bytes body = ClientHelloBuilder().server_name(name).body();
    const auto flight = parse_client_hello(body);
    REQUIRE_FALSE(flight.has_value());
    CHECK(flight.error().error == FlightError::bad_name);
    CHECK(flight.error().name == name);
  }
  CHECK(badly_named(ClientHelloBuilder().server_name(std::string(254, 'a'))));
  CHECK(badly_named(with_extension(server_name, {})));
  CHECK(badly_named(with_extension(server_name, {0, 0})));
  CHECK_MESSAGE(malformed(ClientHelloBuilder().server_name("a b").trailing({0})),
                "broken structure comes first");
}

TEST_CASE("a port in the name is taken off where that is wanted") {
  const Bytes body = ClientHelloBuilder().server_name("A.example:443").body();
  CHECK_FALSE(parse_client_hello(body).has_value());
  const auto flight = parse_client_hello(body, true);
  REQUIRE(flight.has_value());
  CHECK(flight->name() == "a.example");
  CHECK(flight->raw_name == "A.example:443");
}

TEST_CASE("an address literal is kept as it was sent") {
  const Bytes body = ClientHelloBuilder().server_name("192.0.2.1").body();
  CHECK(parse_client_hello(body)->raw_name == "192.0.2.1");
}

TEST_CASE("the first host_name counts, and names of other types are passed over") {
  CHECK(name_of(with_extension(server_name, name_list({{7, "x"}, {0, "a.example"}}))) ==
        "a.example");
  CHECK(name_of(with_extension(server_name, name_list({{0, "a.example"}, {0, "b.example"}}))) ==
        "a.example");
  CHECK(name_of(with_extension(server_name, name_list({{7, "x"}}))) == "");
  CHECK(badly_named(with_extension(server_name, name_list({{0, "a.example"}, {0, ""}}))));
}

TEST_CASE("the name list must fill its extension and hold whole entries") {
  Bytes list = name_list({{0, "a.example"}});
  list.push_back(0);
  CHECK(malformed(with_extension(server_name, list)));
  list[1]++;  // Now the list includes the stray byte, which is not an entry.
  CHECK(malformed(with_extension(server_name, list)));
}

TEST_CASE("an extension that comes twice has a fault of its own, known or not") {
  constexpr auto repeated = FlightError::repeated_extension;
  CHECK(fails_as(repeated, ClientHelloBuilder().server_name("a.example").server_name("a.example")));
  CHECK(fails_as(repeated,
                 ClientHelloBuilder().extension(0x1234, {}).alpn({"h2"}).extension(0x1234, {})));
  CHECK(fails_as(repeated, ClientHelloBuilder().extension(0xffff, {}).extension(0xffff, {})));
}

TEST_CASE("as many different extensions as fit into a hello are taken") {
  ClientHelloBuilder builder;
  for (std::uint16_t type = 1000; type < 5000; ++type) builder.extension(type, {});
  builder.server_name("last.example");
  REQUIRE(builder.body().size() < limits::hello_bytes_default);
  CHECK(name_of(builder) == "last.example");
}

TEST_CASE("ALPN is a list of names, neither of them empty") {
  CHECK(malformed(with_extension(alpn, {})));
  CHECK(malformed(with_extension(alpn, {0, 0})));
  CHECK(malformed(with_extension(alpn, {0, 1, 0})));
  CHECK(malformed(with_extension(alpn, {0, 3, 2, 'h', '2', 9})));
  CHECK(malformed(with_extension(alpn, {0, 3, 3, 'h', '2'})));
  CHECK(malformed(with_extension(alpn, {0, 4, 2, 'h', '2', 0})));
}

TEST_CASE("the version is the highest of supported_versions that is one") {
  CHECK(version_of(ClientHelloBuilder().legacy_version(0x0302)) == 0x0302);
  CHECK(version_of(ClientHelloBuilder().supported_versions({0x0303, 0x0304, 0x0301})) == 0x0304);
  CHECK(version_of(ClientHelloBuilder().supported_versions({0xfafa, 0x0303})) == 0x0303);
  CHECK(version_of(ClientHelloBuilder().supported_versions({0x7f1c, 0x0303})) == 0x0303);
  CHECK(version_of(ClientHelloBuilder().supported_versions({0x0a0a})) == 0x0303);
  CHECK(malformed(with_extension(supported_versions, {})));
  CHECK(malformed(with_extension(supported_versions, {0})));
  CHECK(malformed(with_extension(supported_versions, {3, 3, 4, 3})));
  CHECK(malformed(with_extension(supported_versions, {2, 3, 4, 0})));
}

TEST_CASE("the fixed fields obey their bounds") {
  CHECK(name_of(ClientHelloBuilder().session_id(0).server_name("a.example")) == "a.example");
  CHECK(malformed(ClientHelloBuilder().session_id(33)));
  CHECK(malformed(ClientHelloBuilder().cipher_suites({})));
  CHECK(malformed(ClientHelloBuilder().cipher_suites({0x13, 0x01, 0x13})));
  CHECK(malformed(ClientHelloBuilder().compressions({})));
}

TEST_CASE("bytes behind the end are malformed") {
  CHECK(malformed(browser_hello("a.example").trailing({0})));
  CHECK(malformed(ClientHelloBuilder().trailing({0})));
}

TEST_CASE("a hello cut anywhere is malformed, but for the place before its extensions") {
  const Bytes body = browser_hello("cut.example").body();
  const std::size_t extensions_begin = ClientHelloBuilder().body().size();
  for (std::size_t size = 0; size < body.size(); ++size) {
    CAPTURE(size);
    const Bytes cut(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK(parse_client_hello(cut).has_value() == (size == extensions_begin));
  }
}
