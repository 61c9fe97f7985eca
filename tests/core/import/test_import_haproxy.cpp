// Files of haproxy that route by server name.

#include "core/import/import_haproxy.h"

#include <doctest/doctest.h>

#include "core/import/imported.h"

using namespace sni;

namespace {

constexpr std::string_view usual = R"(global
    log /dev/log local0
    maxconn 20000
    user haproxy
defaults
    log global
    mode tcp
    option tcplog
    timeout connect 5s
    timeout client 50s
    timeout server 1m
    balance leastconn
frontend web
    mode http
    bind *:80
    http-request redirect scheme https code 301 if !{ ssl_fc }
frontend https
    bind *:443
    bind [::]:443 v6only name six
    tcp-request inspect-delay 3s
    tcp-request content accept if { req_ssl_hello_type 1 }
    acl is_shop req_ssl_sni -i shop.example.com www.shop.example.com
    acl is_shop req.ssl_sni -m end .shop.example
    acl is_mail req.ssl_sni,lower -m reg ^mail\.example\.(com|org)$
    use_backend shop if is_shop
    use_backend mail if { req_ssl_hello_type 1 } is_mail
    use_backend api if { req_ssl_sni -i api.example.com } || { req_ssl_sni -i rest.example.com }
    default_backend rest
backend shop
    server a 10.0.0.1:443 check weight 3 maxconn 200 send-proxy-v2
    server b 10.0.0.2:443 check inter 2s backup
backend mail
    balance source
    server m mail.internal:993
backend api
    server a unix@/run/api.sock
backend rest
    server r 10.0.0.9
)";

constexpr std::string_view usual_taken = R"([[listener]]
name = "http-80"
address = "0.0.0.0:80"
protocol = "http"

[[listener]]
name = "tls-443"
address = "0.0.0.0:443"

[[listener]]
name = "six"
address = "[::]:443"
v6only = true

[[route]]
names = ["*"]
listeners = ["http-80"]
redirect = "https"

[[route]]
names = ["shop.example.com", "www.shop.example.com", "*.shop.example"]
backend = [{ address = "10.0.0.1:443", weight = 3, backup = false, max_connections = 200 }, { address = "10.0.0.2:443", weight = 1, backup = true, max_connections = 0 }]
balance = "least_connections"
listeners = ["tls-443", "six"]
send_proxy = "v2"
health = "tcp"

[[route]]
names = ["mail.example.com", "mail.example.org"]
backend = "mail.internal:993"
balance = "source_hash"
listeners = ["tls-443", "six"]

[[route]]
names = ["api.example.com", "rest.example.com"]
backend = "unix:/run/api.sock"
listeners = ["tls-443", "six"]

[[route]]
names = ["*"]
backend = "10.0.0.9:443"
listeners = ["tls-443", "six"]

[[health]]
name = "tcp"

[timeouts]
hello = "3s"
idle = "1m"
half_closed = "1m"

[limits]
connections = 20000
)";

}  // namespace

TEST_CASE("a usual file is taken over with its frontends, conditions and servers") {
  const Taken all = taken(ImportFrom::haproxy, usual);
  CHECK(all.text == usual_taken);
  CHECK(
      all.notes ==
      "30: 'check' becomes a health check of its own, which only connects, at the usual intervals, "
      "and for all servers of a backend\n");
}

TEST_CASE("a listen section has its frontend and its servers in one") {
  const Taken all =
      taken(ImportFrom::haproxy, "listen all\n bind 192.0.2.1:443,:8443\n server a 10.0.0.1\n");
  CHECK(all.config.listeners.size() == 2);
  REQUIRE(all.config.routes.size() == 2);
  CHECK(all.config.routes[1].backends[0].text == "10.0.0.1:8443");
  CHECK(all.notes.empty());
}

TEST_CASE("hosts of http frontends become routes of an http listener") {
  const Taken all = taken(ImportFrom::haproxy,
                          "frontend w\n mode http\n bind :80\n acl a hdr(host) -i a.example\n"
                          " use_backend a if a\nbackend a\n server s 10.0.0.1:80\n");
  REQUIRE(all.config.listeners.size() == 1);
  CHECK(all.config.listeners[0].protocol == Protocol::http);
  CHECK(all.config.routes.at(0).names == std::vector<std::string>{"a.example"});
}

TEST_CASE("what cannot be taken over is told with its line and why") {
  const Taken all = taken(ImportFrom::haproxy, R"(frontend https
    bind :443 accept-proxy
    bind :444 ssl crt /etc/x.pem
    acl local src 10.0.0.0/8
    acl a req_ssl_sni -m sub shop
    acl b req_ssl_sni -i b.example
    use_backend one if b local
    use_backend one if !b
    use_backend one if a
    use_backend %[req.ssl_sni,map(/etc/map)]
    use_backend one unless b
    use_backend none if b
    use_backend one if b
    stick-table type ip size 1m
backend one
    balance uri
    server s 10.0.0.1:443 ssl verify none
    server t 10.0.0.2:443 weight 0
peers p
    peer a 10.0.0.3:1
)");
  CHECK(all.notes ==
        "2: 'bind :443 accept-proxy': believes every client; name the proxies before this one in "
        "'accept_proxy_from'\n"
        "3: 'bind :444 ssl crt /etc/x.pem': it decrypts, and this proxy does not\n"
        "4: 'acl local src 10.0.0.0/8': 'src' is nothing that routes go by\n"
        "5: 'acl a req_ssl_sni -m sub shop': 'shop' compared by 'sub' gives no names for a "
        "route\n"
        "7: 'use_backend one if b local': ACL 'local' is not taken over\n"
        "8: 'use_backend one if !b': a negation has no counterpart\n"
        "9: 'use_backend one if a': ACL 'a' is not taken over\n"
        "10: 'use_backend %[req.ssl_sni,map(/etc/map)]': a name that is made of the request; write "
        "a [[route]] for each\n"
        "11: 'use_backend one unless b': only 'if' has a counterpart\n"
        "12: 'use_backend none if b': there is no backend 'none'\n"
        "14: 'stick-table type ip size 1m': no counterpart\n"
        "16: 'balance uri': backends take turns instead\n"
        "17: 'server s 10.0.0.1:443 ssl verify none': 'ssl' has no counterpart\n"
        "18: 'server t 10.0.0.2:443 weight 0': a server of weight 0 is left out\n"
        "19: 'peers p': the section has no counterpart\n");
  REQUIRE(all.config.routes.size() == 1);
  CHECK(all.config.routes[0].names == std::vector<std::string>{"b.example"});
}

TEST_CASE("an ACL of which a line is not taken over is not taken over") {
  CHECK(import_config(ImportFrom::haproxy,
                      "frontend f\n bind :443\n acl a req_ssl_sni a.example\n"
                      " acl a src 10.0.0.1\n use_backend b if a\nbackend b\n server s 10.0.0.1\n")
            .error()
            .what.starts_with("there is no route by server name\n"));
}
