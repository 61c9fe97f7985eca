#include "core/route/forward_policy.h"

#include <doctest/doctest.h>

#include <vector>

using namespace sni;

namespace {

Endpoint at(const char* text) {
  return parse_endpoint(text).value();
}

struct Host {
  std::vector<ListenerEndpoint> listeners;
  std::vector<IpAddress> addresses;  // Its interfaces'.

  ForwardVerdict configured(const char* target) const {
    return ForwardPolicy{listeners, addresses}.judge_configured(at(target));
  }
  ForwardVerdict requested(const char* target, bool allow_private = false) const {
    return ForwardPolicy{listeners, addresses}.judge_requested(at(target), allow_private);
  }
};

Host host(std::vector<ListenerEndpoint> listeners) {
  return {.listeners = std::move(listeners),
          .addresses = {*parse_ip("127.0.0.1"), *parse_ip("::1"), *parse_ip("10.0.0.7"),
                        *parse_ip("8.8.4.4"), *parse_ip("2a00::7")}};
}

}  // namespace

TEST_CASE("a configured route may lead anywhere but to an own listener") {
  const Host h = host({{.endpoint = at("10.0.0.7:443")}});
  for (const char* target : {"10.0.0.7:8443", "10.0.0.8:443", "127.0.0.1:443", "8.8.8.8:443",
                             "[::1]:443", "[2a00::7]:443", "192.168.1.1:443"}) {
    CAPTURE(target);
    CHECK(h.configured(target) == ForwardVerdict::allowed);
  }
  CHECK(h.configured("10.0.0.7:443") == ForwardVerdict::own_listener);
}

TEST_CASE("an IPv4 wildcard listener is every own IPv4 address with its port") {
  const Host h = host({{.endpoint = at("0.0.0.0:443")}});
  for (const char* target : {"10.0.0.7:443", "127.0.0.1:443", "127.8.8.8:443", "0.0.0.0:443"}) {
    CAPTURE(target);
    CHECK(h.configured(target) == ForwardVerdict::own_listener);
  }
  for (const char* target : {"10.0.0.7:444", "10.0.0.8:443", "[::1]:443", "[2a00::7]:443"}) {
    CAPTURE(target);
    CHECK(h.configured(target) == ForwardVerdict::allowed);
  }
}

TEST_CASE("an IPv6 wildcard listener takes IPv4 too unless it is v6only") {
  const Host both = host({{.endpoint = at("[::]:443")}});
  const Host v6 = host({{.endpoint = at("[::]:443"), .v6only = true}});
  for (const char* target : {"[::1]:443", "[2a00::7]:443", "[::]:443"}) {
    CAPTURE(target);
    CHECK(both.configured(target) == ForwardVerdict::own_listener);
    CHECK(v6.configured(target) == ForwardVerdict::own_listener);
  }
  for (const char* target : {"10.0.0.7:443", "127.0.0.1:443"}) {
    CAPTURE(target);
    CHECK(both.configured(target) == ForwardVerdict::own_listener);
    CHECK(v6.configured(target) == ForwardVerdict::allowed);
  }
  CHECK(both.configured("[2a00::8]:443") == ForwardVerdict::allowed);
}

TEST_CASE("an unspecified target is this host") {
  const Host h = host({{.endpoint = at("127.0.0.1:443")}});
  CHECK(h.configured("0.0.0.0:443") == ForwardVerdict::own_listener);
  CHECK(h.configured("0.0.0.0:444") == ForwardVerdict::allowed);
}

TEST_CASE("a requested name may lead to global addresses of others only") {
  const Host h = host({{.endpoint = at("0.0.0.0:443")}});
  CHECK(h.requested("8.8.8.8:443") == ForwardVerdict::allowed);
  CHECK(h.requested("[2a00::8]:443") == ForwardVerdict::allowed);
  CHECK(h.requested("8.8.4.4:8443") == ForwardVerdict::own_address);
  CHECK(h.requested("[2a00::7]:8443") == ForwardVerdict::own_address);
  for (const char* target :
       {"10.0.0.8:443", "192.168.0.1:443", "172.16.0.1:443", "100.64.0.1:443", "127.0.0.1:22",
        "169.254.169.254:80", "0.0.0.0:22", "224.0.0.1:443", "255.255.255.255:443", "[::1]:22",
        "[::]:22", "[fe80::1]:443", "[fd00::1]:443", "[ff02::1]:443", "[::ffff:10.0.0.8]:443",
        "[64:ff9b::10.0.0.8]:443", "[2002:a00:8::]:443", "[2001:db8::1]:443"}) {
    CAPTURE(target);
    CHECK(h.requested(target) == ForwardVerdict::not_global);
  }
}

TEST_CASE("allow_private opens private and own addresses but never an own listener") {
  const Host h = host({{.endpoint = at("0.0.0.0:443")}});
  for (const char* target : {"10.0.0.8:443", "127.0.0.1:22", "8.8.4.4:8443", "[::1]:443"}) {
    CAPTURE(target);
    CHECK(h.requested(target, true) == ForwardVerdict::allowed);
  }
  CHECK(h.requested("10.0.0.7:443", true) == ForwardVerdict::own_listener);
  CHECK(h.requested("8.8.4.4:443") == ForwardVerdict::own_listener);
}
