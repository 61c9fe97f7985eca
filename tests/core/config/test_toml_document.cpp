#include "core/config/toml_document.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "support/config_mistakes.h"

using namespace sni;

TEST_CASE("text that lacks its quotes is shown with them") {
  const auto last = [](std::string_view text) {
    const Messages all = mistakes(text);
    REQUIRE(all.size() == 1);
    return all[0].substr(std::min(all[0].find("; strings"), all[0].size()));
  };
  CHECK(last("[[listener]]\naddress = 0.0.0.0:443\n") ==
        "; strings need quotes: address = \"0.0.0.0:443\"");
  CHECK(last("[[listener]]\naddress = [::]:443\n").empty());
  CHECK(last("[log]\nlevel = info # why\n") == "; strings need quotes: level = \"info\"");
  CHECK(last("[timeouts]\nhello = 5s\n") == "; strings need quotes: hello = \"5s\"");
  for (const std::string_view text : {"a = 1\na = 2\n", "a = true\na = true\n", "a =\n", "a\n",
                                      "a = 'x\n", "a = 1 2\n", "a = 0x1g\n"}) {
    CAPTURE(text);
    CHECK(last(text).empty());
  }
}
