#include "core/config/address_hints.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/config_mistakes.h"

using namespace sni;

TEST_CASE("addresses to listen on in the forms of other programs are answered with ours") {
  const auto check = [](const std::string& text, const std::string& hint) {
    CAPTURE(text);
    const Messages all = mistakes("[[listener]]\nname = 'https'\naddress = '" + text +
                                  "'\n[[route]]\nnames = ['*']\nbackend = '10.0.0.1:1'\n");
    CHECK(all == Messages{"c.toml:3:11: 'address' in [[listener]]: '" + text + "'" + hint});
  };
  const std::string no_address =
      " has no address; write \"[::]:443\" for IPv6 and IPv4, or \"0.0.0.0:443\" for IPv4 alone";
  for (const std::string text : {":443", "443", "*:443"}) check(text, no_address);
  check("0.0.0.0:70000", " must end in one port from 1 to 65535");
  check("0.0.0.0:4000-4100", " must end in one port from 1 to 65535");
  check("::1:443", " has an IPv6 address without brackets; did you mean '[::1]:443'?");
  check("10.0.0.1", " has no port; did you mean '10.0.0.1:443'?");
  check("https://10.0.0.1", " is a URL; did you mean '10.0.0.1:443'?");
  check("host.example:443",
        " has a name, and listeners take addresses, as in \"0.0.0.0:443\" or \"[::]:443\"");
  CHECK(mistakes("[[listener]]\nname = 'https'\naddress = 443\n[[route]]\nnames = ['*']\n"
                 "backend = '10.0.0.1:1'\n") ==
        Messages{"c.toml:3:11: 'address' in [[listener]]: '443'" + no_address});
}

TEST_CASE("names of routes are host names or wildcards") {
  const std::string key = "c.toml:4:10: 'names' in [[route]]: ";
  const auto name = [](std::string_view text) {
    return "names = ['" + std::string(text) + "']\nbackend = 'b.example:1'\n";
  };
  const std::string wildcard = " has a wildcard that is neither \"*\" nor a leading \"*.\"";
  const std::string address =
      " is an address, and clients ask for names (RFC 6066); \"-\" takes those that ask for none";
  const std::string invalid = " is not a valid host name";
  const std::vector<std::pair<std::string, std::string>> table = {
      {"", "'' is empty; \"-\" takes clients that ask for no name"},
      {"a.example,b.example",
       "'a.example,b.example' has a comma; several names are an array of them"},
      {"a..example", "'a..example'" + invalid},
      {".example", "'.example' begins with a dot; write \"example\" and \"*.example\""},
      {"a.example:443",
       "'a.example:443' has a port, which clients do not send; did you mean 'a.example'?"},
      {"https://a.example/x", "'https://a.example/x' is a URL; did you mean 'a.example'?"},
      {"~^(.+)\\.example$",
       "'~^(.+)\\.example$' is not a host name; a regular expression is written between slashes, "
       "as in "
       "'/(.+)\\.example\\.com/'"},
      {"a b.example", "'a b.example'" + invalid},
      {"*.", "'*.'" + invalid},
      {"*example.com", "'*example.com'" + wildcard},
      {"a.*.example", "'a.*.example'" + wildcard},
      {"*.*.example", "'*.*.example'" + wildcard},
      {"**", "'**'" + wildcard},
      {"192.0.2.1", "'192.0.2.1'" + address},
      {"2001:db8::1", "'2001:db8::1'" + address},
      {"127.1", "'127.1'" + address},
      {"b\xc3\xbc"
       "cher.example",
       "'b\\xc3\\xbccher.example' must be written in its ASCII form (\"xn--...\"), as clients send "
       "it"},
  };
  for (const auto& [text, message] : table) {
    const std::string route = name(text);
    CAPTURE(text);
    check_routes({{route, {key + message}}});
  }
}
