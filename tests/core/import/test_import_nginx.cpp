// Files of nginx with a stream block that routes by ssl_preread.

#include "core/import/import_nginx.h"

#include <doctest/doctest.h>

#include "core/import/imported.h"

using namespace sni;

namespace {

constexpr std::string_view nginx_usual = R"(user www-data;
worker_processes auto;
events { worker_connections 768; }
stream {
    log_format basic '$remote_addr [$time_local]';
    access_log /var/log/nginx/stream.log basic;
    resolver 192.0.2.53 [2001:db8::53]:5353 ipv6=off valid=30s;
    map $ssl_preread_server_name $pool {
        hostnames;
        shop.example.com shop;
        *.shop.example.com shop;
        .example.org 10.0.0.3:443;
        ~^(api|rest)\.example\.net$ unix:/run/api.sock;
        '' 10.0.0.8:443;
        default rest.internal:443;
    }
    upstream shop {
        least_conn;
        zone shop 64k;
        server 10.0.0.1:443 weight=2 max_fails=3 max_conns=50 fail_timeout=10s;
        server 10.0.0.2:443 backup;
    }
    server {
        listen 443 reuseport;
        listen [::]:443;
        ssl_preread on;
        proxy_pass $pool;
        proxy_protocol on;
        proxy_connect_timeout 3s;
        proxy_timeout 15m;
        preread_timeout 4;
    }
    server {
        listen 127.0.0.1:8443 proxy_protocol;
        set_real_ip_from 10.0.0.0/8;
        ssl_preread on;
        proxy_bind 192.0.2.1;
        proxy_pass $ssl_preread_server_name:443;
    }
}
)";

constexpr std::string_view nginx_taken = R"([[listener]]
name = "tls-443"
address = "0.0.0.0:443"

[[listener]]
name = "tls-443-2"
address = "[::]:443"
v6only = true

[[listener]]
name = "tls-8443"
address = "127.0.0.1:8443"
accept_proxy_from = ["10.0.0.0/8"]

[[route]]
names = ["shop.example.com"]
backend = [{ address = "10.0.0.1:443", weight = 2, backup = false, max_connections = 50 }, { address = "10.0.0.2:443", weight = 1, backup = true, max_connections = 0 }]
balance = "least_connections"
listeners = ["tls-443", "tls-443-2"]
send_proxy = "v1"

[[route]]
names = ["*.shop.example.com"]
backend = [{ address = "10.0.0.1:443", weight = 2, backup = false, max_connections = 50 }, { address = "10.0.0.2:443", weight = 1, backup = true, max_connections = 0 }]
balance = "least_connections"
listeners = ["tls-443", "tls-443-2"]
send_proxy = "v1"

[[route]]
names = ["example.org", "*.example.org"]
backend = "10.0.0.3:443"
listeners = ["tls-443", "tls-443-2"]
send_proxy = "v1"

[[route]]
names = ["api.example.net", "rest.example.net"]
backend = "unix:/run/api.sock"
listeners = ["tls-443", "tls-443-2"]
send_proxy = "v1"

[[route]]
names = ["-"]
backend = "10.0.0.8:443"
listeners = ["tls-443", "tls-443-2"]
send_proxy = "v1"

[[route]]
names = ["*"]
backend = "rest.internal:443"
balance = "round_robin"
listeners = ["tls-443", "tls-443-2"]
send_proxy = "v1"

[[route]]
names = ["*"]
backend = "{name}:443"
listeners = ["tls-8443"]
bind_address = ["192.0.2.1"]

[timeouts]
hello = "4s"
connect = "3s"
idle = "15m"

[dns]
servers = ["192.0.2.53:53", "[2001:db8::53]:5353"]
family = "ipv4"

[log]
access_file = "/var/log/nginx/stream.log"
)";

}  // namespace

TEST_CASE("a usual file is taken over with its maps, upstreams and servers") {
  const Taken all = taken(ImportFrom::nginx, nginx_usual);
  CHECK(all.text == nginx_taken);
  CHECK(all.notes ==
        "38: names that clients ask for do not lead to private addresses here; 'allow_private' in "
        "[[route]] lets them\n");
}

TEST_CASE("server names of servers on one address become routes of one listener") {
  const Taken all = taken(ImportFrom::nginx,
                          "stream { ssl_preread on;\n"
                          "server { listen 443; server_name a.example *.b.example; proxy_pass "
                          "10.0.0.1:1; }\n"
                          "server { listen 443; server_name c.example; proxy_pass 10.0.0.2:1; } }");
  CHECK(all.config.listeners.size() == 1);
  REQUIRE(all.config.routes.size() == 2);
  CHECK(all.config.routes[0].names == std::vector<std::string>{"a.example", "*.b.example"});
  CHECK(all.notes.empty());
}

TEST_CASE("what cannot be taken over is told with its line and why") {
  const Taken all = taken(ImportFrom::nginx, R"(include modules/*.conf;
http { server { listen 80; } }
stream {
  map $ssl_preread_protocol $p { default a; }
  map $ssl_preread_server_name $n {
    ~^x(?!0) a;
    a.example $other;
    b.example gone;
    include names.map;
  }
  upstream gone { server 10.0.0.1:1 down; }
  upstream a { ip_hash; server 10.0.0.1:1 max_x=3; }
  server { listen 1.2.3.4:443 ssl; ssl_preread on; proxy_pass a; }
  server { listen 5000 udp; proxy_pass a; }
  server { listen 444; ssl_preread on; proxy_pass $p; }
  server { listen 445; ssl_preread on; proxy_pass $n; limit_conn x 1; }
  server { listen 446 proxy_protocol; ssl_preread on; proxy_pass a; }
}
)");
  CHECK(all.notes ==
        "0: a listener believes the PROXY headers of every client; name the proxies before this "
        "one in 'accept_proxy_from'\n"
        "1: 'include modules/*.conf': no file is read but this one; `nginx -T` prints all of them "
        "as one\n"
        "2: 'http': only the stream block is taken over\n"
        "4: 'map $ssl_preread_protocol $p': routes go by $ssl_preread_server_name alone\n"
        "6: '~^x(?!0) a': it gives no names for a route\n"
        "7: 'a.example $other': it leads to no place that is known beforehand\n"
        "8: 'b.example gone': the upstream has no server\n"
        "9: 'include names.map': no file is read but this one; `nginx -T` prints all of them as "
        "one\n"
        "11: 'server 10.0.0.1:1 down': a server that is down is left out\n"
        "12: 'ip_hash': no counterpart\n"
        "12: 'server 10.0.0.1:1 max_x=3': 'max_x' has no counterpart\n"
        "13: 'listen 1.2.3.4:443 ssl': it decrypts, and this proxy does not\n"
        "14: 'server': without 'ssl_preread on' it does not route by server name\n"
        "16: 'limit_conn x 1': no counterpart\n");
}

TEST_CASE("a file without a stream block is an error that has the reasons") {
  CHECK(import_config(ImportFrom::nginx, "http { }\n").error().what ==
        "there is no listener\nline 1: 'http': only the stream block is taken over");
}
