#include "bpf/sockhash/cgroup_root.h"

#include <doctest/doctest.h>

using namespace sni;

TEST_CASE("The unified hierarchy is found wherever it is mounted") {
  CHECK(find_cgroup2("30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n") ==
        "/sys/fs/cgroup");
  CHECK(find_cgroup2("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
                     "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                     "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw") ==
        "/sys/fs/cgroup/unified");
}

TEST_CASE("A mount point with escaped characters is read as it is") {
  CHECK(find_cgroup2("1 2 0:3 / /mnt/c\\040g\\134x rw - cgroup2 none rw\n") == "/mnt/c g\\x");
}

TEST_CASE("A part of the hierarchy and lines that are no mounts are not taken for its root") {
  CHECK_FALSE(find_cgroup2("1 2 0:3 /docker/1 /sys/fs/cgroup rw - cgroup2 none rw\n"));
  CHECK_FALSE(find_cgroup2(""));
  CHECK_FALSE(find_cgroup2("\n\n - cgroup2\n1 2 3 / /x rw -\n"));
  CHECK_FALSE(find_cgroup2("1 2 0:3 / /cgroup2 rw - tmpfs cgroup2 rw\n"));
}

TEST_CASE("The root cgroup can be opened here") {
  CHECK(open_cgroup_root());
}
