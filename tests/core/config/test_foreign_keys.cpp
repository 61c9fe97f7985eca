#include "core/config/foreign_keys.h"

#include <doctest/doctest.h>

#include "support/config_mistakes.h"

using namespace sni;

TEST_CASE("keys of other proxies are answered with their counterparts") {
  check_after_base({
      {"default = '10.0.0.1:443'\n",
       {"c.toml:3:1: unknown key 'default' at the top level; a route with names = [\"*\"] takes "
        "what "
        "no other route does"}},
      {"[log]\nfile = '/var/log/x'\n",
       {"c.toml:4:1: unknown key 'file' in [log]; the log goes to standard error, and access "
        "lines go to 'access_file'"}},
      {"[dns]\nprefer = 'ipv4'\n",
       {"c.toml:4:1: unknown key 'prefer' in [dns]; which addresses are used is its 'family', as "
        "in family = \"prefer_ipv4\""}},
      {"[limits]\ninclude = ['conf.d/*.toml']\n",
       {"c.toml:4:1: unknown key 'include' in [limits]; it belongs above the first table of the "
        "file"}},
  });
  check_routes({
      {"names = ['a.example']\nbackend = 'b.example:1'\nproxy_protocol = true\n",
       {"c.toml:6:1: unknown key 'proxy_protocol' in [[route]]; the PROXY protocol to backends is "
        "'send_proxy', as in send_proxy = \"v2\""}},
      {"names = ['a.example']\nserver = 'b.example:1'\n",
       {"c.toml:3:1: [[route]] has no 'backend'",
        "c.toml:5:1: unknown key 'server' in [[route]]; where a route leads is its 'backend'"}},
  });
}
