// Checks between values: each mistake with its whole message and position.

#include "core/config/config_check.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>

#include "support/config_mistakes.h"

using namespace sni;

TEST_CASE("listeners must differ in name and address") {
  const auto listeners = [](std::string_view text) {
    return mistakes(std::string(text).append(
        "\n[[route]]\nnames = ['a.example']\nbackend = 'b.example:1'\nlisteners = ['a']\n"));
  };
  CHECK(listeners("[[listener]]\n") == Messages{"c.toml:1:1: [[listener]] has no 'address'",
                                                "c.toml:1:1: [[listener]] has no 'name'"});
  CHECK(listeners("listener = [{ name = 'a', address = '0.0.0.0:1' },\n"
                  "{ name = 'a', address = '0.0.0.0:2' }]") ==
        Messages{"c.toml:2:10: listener 'a' is already defined in line 1"});
  CHECK(listeners("listener = [{ name = 'a', address = '192.0.2.1:1' },\n"
                  "{ name = 'b', address = '[::ffff:192.0.2.1]:1' }]") ==
        Messages{"c.toml:2:25: address 192.0.2.1:1 is already that of the listener in line 1"});
  CHECK(
      listeners("listener = [{ name = 'a', address = '0.0.0.0:443' },\n"
                "{ name = 'b', address = '[::]:443' }]") ==
      Messages{"c.toml:2:25: [::]:443 conflicts with 0.0.0.0:443 in line 1, since [::] takes IPv4 "
               "too; keep the [::] listener alone, or give it v6only = true"});
  CHECK(listeners("listener = [{ name = 'a', address = '[::]:443', v6only = true },\n"
                  "{ name = 'b', address = '0.0.0.0:443' }]")
            .empty());
  CHECK(listeners("listener = [{ name = 'a', address = '[::]:443' },\n"
                  "{ name = 'b', address = '0.0.0.0:444' }]")
            .empty());
  for (const auto& [any, one] :
       {std::pair{"0.0.0.0", "192.0.2.1"}, {"[::]", "192.0.2.1"}, {"[::]", "[2001:db8::1]"}}) {
    const auto pair = [&](std::string_view first, std::string_view second,
                          std::string_view more = "") {
      return listeners("listener = [{ name = 'a', address = '" + std::string(first) +
                       ":443' },\n{ name = 'b', address = '" + std::string(second) + ":443'" +
                       std::string(more) + " }]");
    };
    const std::string suffix =
        " in line 1, since one of them takes the connections to every address of that port";
    CHECK(pair(any, one) == Messages{"c.toml:2:25: " + std::string(one) + ":443 conflicts with " +
                                     any + ":443" + suffix});
    CHECK(pair(one, any) == Messages{"c.toml:2:25: " + std::string(any) + ":443 conflicts with " +
                                     one + ":443" + suffix});
  }
  CHECK(listeners("listener = [{ name = 'a', address = '192.0.2.1:443' },\n"
                  "{ name = 'b', address = '[::]:443', v6only = true }]")
            .empty());
  CHECK(listeners("listener = [{ name = 'a', address = '[2001:db8::1]:443' },\n"
                  "{ name = 'b', address = '0.0.0.0:443' }]")
            .empty());
  CHECK(listeners("listener = [{ name = 'a', address = '0.0.0.0:443', v6only = true }]") ==
        Messages{
            "c.toml:1:37: 'v6only' in [[listener]] does not go with the IPv4 address 0.0.0.0:443"});
  CHECK(listeners("listener = [{ name = 'a b', address = 'localhost:443' }]") ==
        Messages{
            "c.toml:1:22: 'name' in [[listener]]: 'a b' is not 1 to 64 letters, digits, '.', '_' "
            "and '-'",
            "c.toml:1:39: 'address' in [[listener]]: 'localhost:443' has a name, and listeners "
            "take addresses, as in \"0.0.0.0:443\" or \"[::]:443\""});
  CHECK(
      listeners("listener = [{ name = 'a', address = '0.0.0.0:0' }]") ==
      Messages{"c.toml:1:37: 'address' in [[listener]]: '0.0.0.0:0' needs a port from 1 to 65535"});
  CHECK(listeners("listener = [{ name = 'a', address = '224.0.0.1:443' }]") ==
        Messages{"c.toml:1:37: 'address' in [[listener]]: '224.0.0.1:443' is a multicast address"});
  CHECK(listeners("listener = [{ name = 'a', address = '[fe80::1]:443' }]") ==
        Messages{"c.toml:1:37: 'address' in [[listener]]: '[fe80::1]:443' is link-local and needs "
                 "its interface, as in \"[fe80::1%eth0]:443\""});
  CHECK(listeners("listener = [{ name = 'a', address = '0.0.0.0:443', protocol = 'https' }]") ==
        Messages{"c.toml:1:63: 'protocol' in [[listener]]: 'https' is not one of \"tls\" and "
                 "\"http\"; did you mean 'http'?"});
}

TEST_CASE("more listeners than there may be are refused") {
  std::string text;
  for (int i = 1; i <= 65; ++i) {
    const std::string number = std::to_string(i);
    text += "[[listener]]\nname = 'l" + number + "'\naddress = '192.0.2.1:" + number + "'\n";
  }
  text += "[[route]]\nnames = ['a.example']\nbackend = 'b.example:1'\n";
  CHECK(mistakes(text) == Messages{"c.toml:193:1: more than 64 listeners"});
}

TEST_CASE("routes must be whole and name listeners that exist") {
  check_routes({
      {"", {"c.toml:3:1: [[route]] has no 'backend'", "c.toml:3:1: [[route]] has no 'names'"}},
      {"names = []\nbackend = []\nlisteners = []\n",
       {"c.toml:4:9: 'names' in [[route]] must not be empty",
        "c.toml:5:11: 'backend' in [[route]] must not be empty",
        "c.toml:6:13: 'listeners' in [[route]] must not be empty"}},
      {"names = ['a.example']\nbackend = 'b.example:1'\nlisteners = ['http', 'web', 'htps']\n",
       {"c.toml:6:14: unknown listener 'http' in [[route]]; did you mean 'https'?",
        "c.toml:6:29: unknown listener 'htps' in [[route]]; did you mean 'https'?"}},
      {"names = ['a.example']\nbackend = 'b.example:1'\nlisteners = ['web']\nalpn = ['h2']\n",
       {"c.toml:7:8: 'alpn' in [[route]] can never match on listener 'web', whose protocol is "
        "\"http\""}},
      {"names = ['a.example']\nbackend = 'b.example:1'\nalpn = ['']\n",
       {"c.toml:6:9: 'alpn' in [[route]]: '' is not a protocol name of 1 to 255 bytes, as in "
        "\"h2\""}},
      {"names = ['a.example']\nbackend = 'b.example:1'\nallow_private = true\n",
       {"c.toml:6:17: warning: 'allow_private' in [[route]] has no effect without a \"{name}\" "
        "backend, or one with groups of an expression"}},
      {"names = ['a.example']\nbackend = 'b.example:1'\nallow_private = 1\n",
       {"c.toml:6:17: 'allow_private' in [[route]] must be true or false, not an integer"}},
  });
  CHECK(
      mistakes("listener = [{ name = 'web', address = '0.0.0.0:80', protocol = 'http' }]\n"
               "[[route]]\nnames = ['a.example']\nbackend = 'b.example:1'\n") ==
      Messages{"c.toml:2:1: [[route]] needs 'listeners', since there is no listener with protocol "
               "\"tls\""});
}

TEST_CASE("a route serves, refuses or redirects, one of the three") {
  const std::string web = "names = ['a.example']\nlisteners = ['web']\n";
  check_routes({
      {"names = ['a.example']\nrefuse = 'close'\n", {}},
      {web + "redirect = 'https'\n", {}},
      {web + "redirect = 'https'\nredirect_except_acme = true\nbackend = 'b:1'\n", {}},
      {"names = ['-']\nbackend = 'b:1'\n[[route]]\nnames = ['*']\nrefuse = 'alert'\n", {}},
      {"names = ['a.example']\nrefuse = 'close'\nbackend = 'b:1'\n",
       {"c.toml:6:11: [[route]] has both 'refuse' and 'backend', which goes only with 'access'"}},
      {web + "redirect = 'https'\nbackend = 'b:1'\n",
       {"c.toml:7:11: [[route]] has both 'redirect' and 'backend', which goes only with "
        "'redirect_except_acme'"}},
      {web + "redirect = 'https'\nredirect_except_acme = true\n",
       {"c.toml:3:1: [[route]] has no 'backend'"}},
      {web + "redirect = 'https'\nrefuse = 'drop'\n",
       {"c.toml:6:12: [[route]] has both 'refuse' and 'redirect'"}},
      {"names = ['a.example']\nredirect = 'https'\n",
       {"c.toml:5:12: 'redirect' in [[route]] does not go with listener 'https', whose protocol is "
        "\"tls\""}},
      {"names = ['a.example']\nbackend = 'b:1'\nredirect_except_acme = true\n",
       {"c.toml:3:1: warning: 'redirect_except_acme' in [[route]] has no effect without "
        "'redirect'"}},
      {"names = ['-']\nbackend = '{name}:443'\n",
       {"c.toml:4:10: clients without a name (\"-\") have no \"{name}\" to connect to"}},
      {"names = ['a.example']\nrefuse = 'alrt'\n",
       {"c.toml:5:10: 'refuse' in [[route]]: 'alrt' is not one of \"no\", \"alert\", \"close\" and "
        "\"drop\"; did you mean 'alert'?"}},
      {web + "redirect = 'http'\n",
       {"c.toml:6:12: 'redirect' in [[route]]: 'http' is not one of \"no\" and \"https\"; did you "
        "mean 'https'?"}},
      {"names = ['-', '-']\nbackend = 'b:1'\n",
       {"c.toml:4:15: name '-' is given twice in [[route]]"}},
  });
}

TEST_CASE("a route's idle timeout comes before its listener's, and that before the general one") {
  const TimeoutConfig config{.idle = std::chrono::minutes(10),
                             .half_closed = std::chrono::minutes(5)};
  ListenerConfig listener;
  RouteConfig route;
  CHECK(idle_timeouts(config, listener, route).idle == std::chrono::minutes(10));
  listener.idle = std::chrono::minutes(20);
  CHECK(idle_timeouts(config, listener, route).idle == std::chrono::minutes(20));
  CHECK(idle_timeouts(config, listener, route).half_closed == std::chrono::minutes(5));
  route.idle = std::chrono::minutes(1);
  CHECK(idle_timeouts(config, listener, route).idle == std::chrono::minutes(1));
  CHECK(idle_timeouts(config, listener, route).half_closed == std::chrono::minutes(1));
}

TEST_CASE("backends that cannot be used are refused") {
  const auto route = [](std::string_view backend) {
    return "names = ['a.example']\nbackend = " + std::string(backend) + '\n';
  };
  const std::string key = "c.toml:5:11: 'backend' in [[route]]";
  std::string many_backends = "['a:10'";
  for (int port = 11; port <= 74; ++port) many_backends += ",'a:" + std::to_string(port) + '\'';
  many_backends += ']';
  check_routes({
      {route("1"), {key + " must be an array of strings, not an integer"}},
      {route("'a.example'"),
       {key + ": 'a.example' has no port; write \"address:port\", \"[v6-address]:port\", "
              "\"name:port\", \"unix:/path\" or \"{name}:port\""}},
      {route("'{name}'"), {key + ": '{name}' has no port; did you mean '{name}:443'?"}},
      {route("'/run/x.sock'"),
       {key + ": '/run/x.sock' is a path; did you mean 'unix:/run/x.sock'?"}},
      {route("'a.example:1,b.example:2'"),
       {key + ": 'a.example:1,b.example:2' has a comma; several backends are an array, as in "
              "[\"a.example:1\", ...]"}},
      {route("'b\xc3\xbc"
             "cher.example:443'"),
       {key + ": 'b\\xc3\\xbccher.example:443' must be written in its ASCII form (\"xn--...\")"}},
      {route("['b.example:1', 'a.example:0']"),
       {"c.toml:5:27: 'backend' in [[route]]: 'a.example:0' must end in a port from 1 to 65535"}},
      {route("'127.0.0.1:443'"),
       {"c.toml:5:11: backend '127.0.0.1:443' is a listener of this proxy, so connections would "
        "loop"}},
      {route("['10.0.0.1:443', 'localhost:80']"),
       {"c.toml:5:28: backend 'localhost:80' is a listener of this proxy, so connections would "
        "loop"}},
      {route(many_backends), {"c.toml:5:460: more than 64 backends in [[route]]"}},
      {route("{ weight = 0 }"),
       {"c.toml:5:11: 'backend' has no 'address'",
        "c.toml:5:22: 'weight' in 'backend' must be between 1 and 256, not 0"}},
      {route("['b.example:1', { address = 'a.example', wieght = 2, backup = 'yes' }]"),
       {"c.toml:5:39: 'address' in 'backend': 'a.example' has no port; write \"address:port\", "
        "\"[v6-address]:port\", \"name:port\", \"unix:/path\" or \"{name}:port\"",
        "c.toml:5:52: unknown key 'wieght' in 'backend'; did you mean 'weight'?",
        "c.toml:5:73: 'backup' in 'backend' must be true or false, not a string"}},
  });
  CHECK_MESSAGE(
      mistakes(std::string(config_base) + "[[route]]\nnames = ['a']\nbackend = '[::1]:443'\n")
              .size() == 1,
      "the base closes its routes");
}

TEST_CASE("balancing keys without effect give a warning") {
  const std::string names = "names = ['a.example']\n";
  const std::string warning = "c.toml:5:11: warning: ";
  check_routes({
      {names + "backend = { address = 'b.example:1', weight = 3 }\n",
       {warning + "'weight' of a backend has no effect with balance = \"first\" in [[route]]"}},
      {names + "backend = { address = '10.0.0.1:1', backup = true }\n",
       {warning + "'backup' has no effect where every backend of [[route]] is one"}},
      {names + "balance = 'round_robin'\nbackend = '10.0.0.1:1'\n",
       {warning + "'balance' in [[route]] has no effect with a single backend address"}},
      {names + "balance = 'round_robin'\nbackend = 'b.example:1'\n", {}},
      {names + "balance = 'turns'\nbackend = 'b.example:1'\n",
       {"c.toml:5:11: 'balance' in [[route]]: 'turns' is not one of \"first\", \"round_robin\", "
        "\"least_connections\", \"random_two\" and \"source_hash\""}},
  });
}

TEST_CASE("a name that an earlier route takes on the same listener is hidden") {
  check_routes({
      {"names = ['a.example', 'b.example', 'A.example']\nbackend = 'b.example:1'\n",
       {"c.toml:4:36: name 'a.example' is given twice in [[route]]"}},
      {"names = ['a.example']\nbackend = 'b.example:1'\n"
       "[[route]]\nnames = ['b.example', 'A.EXAMPLE.']\nbackend = 'b.example:1'\n",
       {"c.toml:7:23: name 'a.example' in [[route]] is hidden by the [[route]] in line 3, which "
        "has "
        "it too"}},
      {"names = ['*']\nbackend = 'b.example:1'\n[[route]]\nnames = ['*']\nbackend = "
       "'b.example:1'\n",
       {"c.toml:7:10: name '*' in [[route]] is hidden by the [[route]] in line 3, which has it "
        "too"}},
      {"names = ['a.example']\nbackend = 'b.example:1'\nlisteners = ['https']\n"
       "[[route]]\nnames = ['a.example']\nbackend = 'b.example:1'\nlisteners = ['web']\n",
       {}},
      {"names = ['a.example']\nbackend = 'b.example:1'\n"
       "[[route]]\nnames = ['a.example']\nbackend = 'b.example:1'\nalpn = ['h2']\n",
       {}},
      {"names = ['a.example']\nbackend = 'b.example:1'\nalpn = ['h2', 'http/1.1']\n"
       "[[route]]\nnames = ['a.example']\nbackend = 'b.example:1'\nalpn = ['h2']\n",
       {"c.toml:8:10: name 'a.example' in [[route]] is hidden by the [[route]] in line 3, which "
        "has "
        "it too"}},
      {"names = ['*.example', 'a.example']\nbackend = 'b.example:1'\n", {}},
  });
}

TEST_CASE("values that do not go together are found") {
  check_after_base({
      {"[dns]\nttl_min = '2h'\n", {"c.toml:3:1: 'ttl_min' in [dns] is greater than 'ttl_max'"}},
      {"[dns]\nservers = ['10.0.0.1','10.0.0.2','10.0.0.3','10.0.0.4','10.0.0.5','10.0.0.6',"
       "'10.0.0.7','10.0.0.8','10.0.0.9']\n",
       {"c.toml:3:1: more than 8 resolvers in 'servers' in [dns]"}},
      {"[limits]\nconnections = 10\nconnections_per_source = 11\n",
       {"c.toml:3:1: warning: 'connections_per_source' in [limits] has no effect, since it is "
        "greater than 'connections'"}},
      {"[fast_path]\nmode = 'packet'\ndrain_spliced = false\n",
       {"c.toml:5:17: 'drain_spliced' in [fast_path] leaves connections to the next process, which "
        "finds them by 'pin' alone"}},
      {"[fast_path]\npin = '/sys/fs/bpf/sni-proxy'\ndrain_spliced = false\n", {}},
      {"[bans]\nduration = '2m'\nduration_max = '1m'\n",
       {"c.toml:3:1: 'duration' in [bans] is greater than 'duration_max'"}},
      {"[bans]\nrefused_per_minute = 5\n",
       {"c.toml:3:1: warning: 'refused_per_minute' in [bans] has no effect without "
        "'connections_per_source' in [limits]"}},
      {"[metrics]\nlisten = 'unix:/run/x.sock'\n[control]\nsocket = '/run/x.sock'\n",
       {"c.toml:4:10: 'listen' in [metrics] is the path of 'socket' in [control]"}},
      {"[metrics]\nlisten = '127.0.0.1:443'\n",
       {"c.toml:4:10: 'listen' in [metrics] conflicts with the listener in line 1, which has port "
        "443"}},
      {"[metrics]\nlisten = '[::]:443'\n",
       {"c.toml:4:10: 'listen' in [metrics] conflicts with the listener in line 1, which has port "
        "443"}},
      {"[metrics]\nlisten = '127.0.0.1:9443'\n", {}},
      {"[access]\ndefault = 'deny'\n",
       {"c.toml:3:1: warning: nobody is served: [access] denies by default and allows no address"}},
  });
}

TEST_CASE("100,000 routes are read and checked, and a thousand mistakes are enough") {
  std::string text = "listener = [{ name = 'https', address = '0.0.0.0:443' }]\n";
  for (int i = 0; i < 100'000; ++i) {
    text +=
        "[[route]]\nnames = ['n" + std::to_string(i) + ".example']\nbackend = '10.0.0.5:8443'\n";
  }
  CHECK(read_valid(text).routes.size() == 100'000);
  for (int i = 0; i < 2'000; ++i) text += "[[route]]\nnames = ['n..']\nbackend = 'a:1'\n";
  const Messages messages = mistakes(text);
  CHECK(messages.size() == 1'001);
  CHECK(messages.back().ends_with(": 1000 more are not shown"));
}
