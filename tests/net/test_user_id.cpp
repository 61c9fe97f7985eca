#include "net/user_id.h"

#include <doctest/doctest.h>

using namespace sni;

TEST_CASE("a user is known by name and by number, and has a group") {
  for (const char* name : {"root", "0"}) {
    CAPTURE(name);
    const auto root = user_id(name);
    REQUIRE(root);
    CHECK(root->uid == 0);
    CHECK(root->gid == 0);
  }
  for (const char* name : {"no-such-user", "", "4294967294", "4294967295"}) {
    CAPTURE(name);
    CHECK_FALSE(user_id(name));
  }
}
