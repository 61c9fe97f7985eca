#include "net/server/stats_writer.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <optional>

#include "net/server/stats_file.h"
#include "tests/support/socket_path.h"

using namespace sni;
using namespace sni::test;

TEST_CASE("the file holds what was put last, at the end of the writer at the latest") {
  const std::string path = fresh_socket_path();  // In a directory of its own.
  {
    StatsWriter writer(path);
    for (std::uint64_t since = 1; since <= 100; ++since) {
      writer.put({.since_s = since, .reports = {}});
    }
  }
  const auto read = read_stats_file(path);
  REQUIRE(read);
  REQUIRE(*read);
  CHECK((*read)->since_s == 100);
  std::filesystem::remove(path);
  remove_directory_of(path);
}

TEST_CASE("a writer that was given nothing leaves no file") {
  const std::string path = fresh_socket_path();
  {
    const StatsWriter writer(path);
  }
  CHECK_FALSE(std::filesystem::exists(path));
  remove_directory_of(path);
}
