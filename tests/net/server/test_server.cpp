#include "net/server/server.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

using namespace sni;

namespace {

// A file that is gone with its test.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view text)
      : path_(std::filesystem::temp_directory_path() /
              ("sni-proxy-test-" + std::to_string(getpid()) + ".toml")) {
    std::ofstream(path_, std::ios::binary) << text;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("a configuration without mistakes is loaded") {
  const TemporaryFile file(R"(
[[listener]]
name = "tls"
address = "127.0.0.1:8443"

[[route]]
names = ["a.example"]
backend = "127.0.0.1:9443"
)");
  const auto loaded = load_config(file.path());
  REQUIRE(loaded);
  REQUIRE(loaded->config);
  CHECK(loaded->config->listeners.size() == 1);
  CHECK(loaded->config->routes.size() == 1);
}

TEST_CASE("mistakes are told with the file's name, and leave no configuration") {
  const TemporaryFile file("[sever]\nworkers = -1\n");
  const auto loaded = load_config(file.path());
  REQUIRE(loaded);
  CHECK_FALSE(loaded->config);
  REQUIRE_FALSE(loaded->diagnostics.empty());
  CHECK(loaded->diagnostics.front().to_string().starts_with(file.path() + ":"));
}

TEST_CASE("a file that is not there is an error that names it") {
  const auto loaded = load_config("/nonexistent/config.toml");
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().sys_errno == ENOENT);
  CHECK(loaded.error().what.find("/nonexistent/config.toml") != std::string::npos);
}

TEST_CASE("a directory is no configuration") {
  CHECK_FALSE(load_config("/"));
}

TEST_CASE("an empty file is read, and found to have no listener") {
  const TemporaryFile file("");
  const auto loaded = load_config(file.path());
  REQUIRE(loaded);
  CHECK_FALSE(loaded->config);
  CHECK_FALSE(loaded->diagnostics.empty());
}
