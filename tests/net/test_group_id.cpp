#include "net/group_id.h"

#include <doctest/doctest.h>

using namespace sni;

TEST_CASE("a group is known by its name and by its number") {
  CHECK(group_id("root") == gid_t{0});
  CHECK(group_id("0") == gid_t{0});
  CHECK(group_id("4242") == gid_t{4242});
  CHECK_FALSE(group_id("no-such-group"));
  CHECK_FALSE(group_id(""));
  CHECK_FALSE(group_id("4294967295"));  // Stands for "none" in chown().
}
