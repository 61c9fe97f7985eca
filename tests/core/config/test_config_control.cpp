// [server], [control], [metrics], [stats] and [log]: the user of the proxy, who may reach it, and
// the files that it writes.

#include <doctest/doctest.h>

#include "support/config_mistakes.h"

using namespace sni;

TEST_CASE("invalid modes, groups and addresses say what to write") {
  check_after_base({
      {"[metrics]\nlisten = 'localhost'\n",
       {"c.toml:4:10: 'listen' in [metrics]: 'localhost' has a name, and listeners take "
        "addresses, as in \"0.0.0.0:443\" or \"[::]:443\""}},
      {"[metrics]\nlisten = 'unix:metrics.sock'\n",
       {"c.toml:4:10: 'listen' in [metrics]: 'metrics.sock' is not an absolute path"}},
      {"[control]\nmode = '660x'\n",
       {"c.toml:4:8: 'mode' in [control]: '660x' is not a mode; write it in octal, as in "
        "\"0660\""}},
      {"[control]\nmode = '1660'\n",
       {"c.toml:4:8: 'mode' in [control]: '1660' is not a mode; write it in octal, as in "
        "\"0660\""}},
      {"[control]\nmode = '0066'\n",
       {"c.toml:4:8: 'mode' in [control]: '0066' shuts out the socket's owner; write at least "
        "\"0600\""}},
      {"[stats]\nfile = 'stats.json'\ninterval = '10ms'\n",
       {"c.toml:4:8: 'file' in [stats]: 'stats.json' is not an absolute path",
        "c.toml:5:12: 'interval' in [stats]: '10ms' is not between 1s and 24h"}},
      {"[metrics]\nnames = 1001\n",
       {"c.toml:4:9: 'names' in [metrics] must be between 0 and 1000, not 1001"}},
      {"[log]\naccess_sample = 0\n",
       {"c.toml:4:17: 'access_sample' in [log] must be between 1 and 1000000, not 0"}},
      {"[control]\ngroup = 'a b'\n",
       {"c.toml:4:9: 'group' in [control]: 'a b' is not a name for a group"}},
      {"[server]\nuser = 'a/b'\n",
       {"c.toml:4:8: 'user' in [server]: 'a/b' is not a name for a user"}},
      {"[server]\ngroup = 'daemon'\n",
       {"c.toml:4:9: 'group' in [server] is the group of 'user', which is not set; set it as "
        "well"}},
  });
}

TEST_CASE("metrics are served on an address, on a UNIX socket or nowhere") {
  const std::string base(config_base);
  for (const char* listen : {"127.0.0.1:9443", "[::1]:9443", "unix:/run/metrics.sock", ""}) {
    CHECK(read_valid(base + "[metrics]\nlisten = '" + listen + "'\n").metrics.listen == listen);
  }
}
