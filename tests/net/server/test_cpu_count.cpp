#include "net/server/cpu_count.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <algorithm>
#include <thread>

using namespace sni;

TEST_CASE("a quota pays for whole CPUs, rounded up") {
  CHECK(cpus_of_cpu_max("200000 100000\n") == 2);
  CHECK(cpus_of_cpu_max("150000 100000\n") == 2);
  CHECK(cpus_of_cpu_max("1000 100000\n") == 1);
  CHECK(cpus_of_cfs("400000\n", "100000\n") == 4);
}

TEST_CASE("no quota is no bound, and so is what nobody understands") {
  CHECK_FALSE(cpus_of_cpu_max("max 100000\n"));
  CHECK_FALSE(cpus_of_cpu_max(""));
  CHECK_FALSE(cpus_of_cpu_max("100000"));
  CHECK_FALSE(cpus_of_cpu_max("100000 0"));
  CHECK_FALSE(cpus_of_cfs("-1\n", "100000\n"));
  CHECK_FALSE(cpus_of_cfs("", ""));
}

TEST_CASE("the cgroup of a process is found in both hierarchies") {
  constexpr const char* hybrid =
      "5:cpuset:/x\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/y\n0::/z/w\n";
  CHECK(cgroup_path(hybrid, "") == "/z/w");
  CHECK(cgroup_path(hybrid, "cpu") == "/docker/abc");
  CHECK_FALSE(cgroup_path(hybrid, "memory"));
  CHECK(cgroup_path("0::/\n", "") == "");
  CHECK_FALSE(cgroup_path("nonsense\n", ""));
}

TEST_CASE("the mount of a hierarchy is found with the directory that is mounted") {
  constexpr const char* mounts =
      "22 1 0:20 / /proc rw,nosuid - proc proc rw\n"
      "30 1 0:26 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup "
      "cgroup rw,cpu,cpuacct\n"
      "31 1 0:27 / /sys/fs/cgroup/unified rw shared:10 master:2 - cgroup2 "
      "cgroup2 rw\n";
  const auto unified = cgroup_mount(mounts, "");
  REQUIRE(unified);
  CHECK(unified->point == "/sys/fs/cgroup/unified");
  CHECK(unified->root == "/");
  const auto cpu = cgroup_mount(mounts, "cpu");
  REQUIRE(cpu);
  CHECK(cpu->point == "/sys/fs/cgroup/cpu,cpuacct");
  CHECK(cpu->root == "/docker/abc");
  CHECK_FALSE(cgroup_mount(mounts, "memory"));
}

TEST_CASE("the CPUs that a process may run on are told by number") {
  const auto cpus = allowed_cpus();
  CHECK(cpus.size() == usable_cpus());
  CHECK(std::ranges::is_sorted(cpus));
  const auto dealt = cpus_of_workers(static_cast<unsigned>(cpus.size()) + 1);
  CHECK(std::vector(dealt.begin(), dealt.end() - 1) == cpus);
  CHECK(dealt.back() == cpus.front());
}

TEST_CASE("a process that may run on one CPU uses one") {
  std::thread([] {
    cpu_set_t one;
    CPU_ZERO(&one);
    cpu_set_t mine;
    REQUIRE(sched_getaffinity(0, sizeof mine, &mine) == 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &mine) && CPU_COUNT(&one) == 0) CPU_SET(cpu, &one);
    }
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);  // Of this thread alone.
    CHECK(usable_cpus() == 1);
  }).join();
}
