#include "bench/proxies.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "bench/process.h"
#include "core/config/config_file.h"

using namespace sni::bench;

namespace {

Scene scene_in(const std::string& directory) {
  return {.address = "127.0.0.1",
          .port = 44'443,
          .routes = {{.name = "s0.bench.example", .backend = "127.0.0.1:8000"},
                     {.name = "s1.bench.example", .backend = "127.0.0.1:8001"}},
          .connections = 400,
          .directory = directory};
}

class Directory {
 public:
  Directory() {
    std::string name = std::filesystem::temp_directory_path() / "sni-bench-test-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

TEST_CASE("the relay's own configuration is read without a mistake") {
  const Directory directory;
  for (const Proxy& plane : planes("/nowhere/sni-proxy", true)) {
    const auto argv = prepare(plane, scene_in(directory.path()));
    REQUIRE(argv.size() == 3);
    const auto loaded = sni::read_config(plane.configuration(plane, scene_in("/tmp")), argv[2]);
    CHECK(loaded.diagnostics.empty());
    REQUIRE(loaded.config.has_value());
    CHECK(loaded.config->workers == 1);
    CHECK(loaded.config->routes.size() == 2);
    const sni::RouteConfig& route = loaded.config->routes[0];
    CHECK(route.backends.size() == std::min<std::size_t>(plane.balanced, 2));
    CHECK(loaded.config->metrics.listen.empty() == !plane.observed);
    CHECK((route.balance == sni::Balance::round_robin) == (plane.balanced > 1));
  }
}

TEST_CASE("the first plane is the userspace relay, and ids are unique") {
  std::set<std::string> ids;
  CHECK(planes("/x", true).front().id == "userspace");
  for (const Proxy& plane : planes("/x", true)) CHECK(ids.insert(plane.id).second);
  for (const Proxy& peer : installed_peers()) CHECK(ids.insert(peer.id).second);
}

TEST_CASE("every peer that is installed accepts the configuration written for it") {
  const Directory directory;
  for (const Proxy& peer : installed_peers()) {
    CAPTURE(peer.id);
    CHECK(peer.version != "unknown");
    const auto argv = prepare(peer, scene_in(directory.path()));
    const std::string& file = argv.back();
    if (peer.id.starts_with("haproxy")) {
      CHECK(run_tool({peer.program, "-c", "-f", file}).has_value());
    } else if (peer.id == "nginx") {
      const auto tested = run_tool({peer.program, "-t", "-e", "stderr", "-c", file});
      CHECK_MESSAGE(tested.has_value(), (tested ? "" : tested.error().what));
    }
  }
}
