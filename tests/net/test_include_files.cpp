// Files that a configuration includes from a directory.

#include "net/include_files.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

using namespace sni;

namespace {

// A directory with wildcard characters in its name; it is removed with its test.
class Directory {
 public:
  Directory()
      : path_(std::filesystem::temp_directory_path() /
              ("sni-proxy-[*]?-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path_ / "conf.d");
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::string add(const std::string& name) {
    std::ofstream(path_ / name) << "# " << name << '\n';
    return (path_ / name).string();
  }
  std::string path(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

using Paths = std::vector<std::string>;

}  // namespace

TEST_CASE("a pattern stands for the files beside the configuration, in the order of their names") {
  Directory directory;
  const IncludeFiles files = include_files(directory.add("config.toml"));
  const std::string b = directory.add("conf.d/b.toml");
  const std::string a = directory.add("conf.d/10-a.toml");
  const std::string upper = directory.add("conf.d/Z.toml");
  directory.add("conf.d/b.toml~");
  directory.add("conf.d/.hidden.toml");
  CHECK(files.list("conf.d/*.toml").value() == Paths{a, upper, b});
  CHECK(files.list("conf.d/b.toml").value() == Paths{b});
  CHECK(files.list("/dev/null").value() == Paths{"/dev/null"});
  CHECK(files.list("*.yaml").value().empty());
  CHECK(files.read(b, 1000).value() == "# conf.d/b.toml\n");
}

TEST_CASE("the configuration does not include itself") {
  Directory directory;
  const IncludeFiles files = include_files(directory.add("config.toml"));
  const std::string other = directory.add("routes.toml");
  CHECK(files.list("*.toml").value() == Paths{other});
}

TEST_CASE("a directory that is not there is an error, and so is a file") {
  Directory directory;
  const IncludeFiles files = include_files(directory.add("config.toml"));
  const auto listed = files.list("nosuch/*.toml");
  REQUIRE_FALSE(listed);
  CHECK(listed.error().what.starts_with("cannot read the directory of "));
  const auto paths = files.list("nosuch.toml");
  REQUIRE(paths);
  REQUIRE(paths->size() == 1);
  CHECK_FALSE(files.read(paths->at(0), 1000));
}
