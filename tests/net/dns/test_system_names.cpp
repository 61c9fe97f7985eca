#include "net/dns/system_names.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

using namespace sni;

namespace {

// A directory that is gone after the test.
class Directory {
 public:
  Directory() {
    std::string path = "/tmp/sni-names-XXXXXX";
    REQUIRE(::mkdtemp(path.data()));
    path_ = path;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::string file(const std::string& name) const { return path_ / name; }
  void write(const std::string& name, std::string_view text) const {
    std::ofstream(file(name)) << text;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("hosts and resolv.conf are read from the given paths") {
  const Directory etc;
  etc.write("hosts", "10.0.0.1 web\n");
  etc.write("resolv.conf", "nameserver 192.0.2.53\nsearch a.example\n");
  const auto names =
      load_system_names({.hosts = etc.file("hosts"), .resolv_conf = etc.file("resolv.conf")});
  REQUIRE(names);
  CHECK(names->hosts.find("web"));
  CHECK(names->resolv_conf.servers.front().to_string() == "192.0.2.53:53");
  CHECK(names->resolv_conf.search.front() == "a.example");
}

TEST_CASE("missing files count as empty") {
  const Directory etc;
  const auto names =
      load_system_names({.hosts = etc.file("hosts"), .resolv_conf = etc.file("resolv.conf")});
  REQUIRE(names);
  CHECK(names->hosts.size() == 0);
  CHECK(names->resolv_conf.servers.front().to_string() == "127.0.0.1:53");
}

TEST_CASE("a path that is no file is an error that names it") {
  const Directory etc;
  const auto names = load_system_names({.hosts = etc.file(""), .resolv_conf = etc.file("none")});
  REQUIRE_FALSE(names);
  CHECK(names.error().what.contains(etc.file("")));
}

TEST_CASE("a file that is too long is an error") {
  const Directory etc;
  etc.write("hosts", "");
  std::filesystem::resize_file(etc.file("hosts"), limits::system_file_max + 1);
  const auto names = load_system_names({.hosts = etc.file("hosts"), .resolv_conf = etc.file("no")});
  REQUIRE_FALSE(names);
  CHECK(names.error().what.contains("longer than"));
}

TEST_CASE("the files of this host can be read") {
  CHECK(load_system_names());
}
