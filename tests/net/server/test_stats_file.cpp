#include "net/server/stats_file.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/socket_path.h"

using namespace sni;
using namespace sni::test;

TEST_CASE("traffic outlives the process, and a file that is broken is told") {
  const std::string path = fresh_socket_path();  // In a directory of its own.
  CHECK_FALSE(*read_stats_file(path));
  TrafficStore store{.since_s = 5, .reports = {}};
  store.reports[0].rows = {{"https", {1, 2, 3}}};
  REQUIRE(write_stats_file(path, store));
  CHECK_FALSE(std::filesystem::exists(path + ".new"));
  const auto read = read_stats_file(path);
  REQUIRE(read);
  REQUIRE(*read);
  CHECK((*read)->since_s == 5);
  CHECK((*read)->reports[0].rows.at(0).count == TrafficCount{1, 2, 3});
  std::ofstream(path) << "{";
  const auto broken = read_stats_file(path);
  REQUIRE_FALSE(broken);
  CHECK(broken.error().what == path + ": it holds no traffic");
  std::filesystem::remove(path);
  remove_directory_of(path);
}

TEST_CASE("where no file can be made the error names it, and nothing is left") {
  const auto written = write_stats_file("/nonexistent/stats.json", {});
  REQUIRE_FALSE(written);
  CHECK(written.error().what.starts_with("cannot write /nonexistent/stats.json.new: "));
}
