#include "net/dns/names_watch.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

using namespace sni;

namespace {

namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
}

// Files in a directory of their own, and a watch on them.
struct Watched {
  Watched() {
    write(directory / "hosts", "10.0.0.1 a\n");
    write(directory / "resolv.conf", "nameserver 192.0.2.1\n");
  }
  ~Watched() { fs::remove_all(directory); }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

  void open() {
    auto opened =
        NamesWatch::open({.hosts = directory / "hosts", .resolv_conf = directory / "resolv.conf"});
    REQUIRE(opened);
    watch = std::move(*opened);
  }
  // Whether it reports a change within the time.
  bool tells(std::chrono::milliseconds within = std::chrono::seconds(20)) {
    const auto end = std::chrono::steady_clock::now() + within;
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now());
      if (left.count() <= 0) return false;
      pollfd wait{.fd = watch->fd(), .events = POLLIN, .revents = 0};
      poll(&wait, 1, static_cast<int>(left.count()));
      if (wait.revents != 0 && watch->take()) return true;
    }
  }
  bool quiet() { return !tells(std::chrono::milliseconds(500)); }

  static fs::path make_directory() {
    std::string path = "/tmp/names_watch_XXXXXX";
    REQUIRE(mkdtemp(path.data()) != nullptr);
    return path;
  }

  fs::path directory = make_directory();
  std::optional<NamesWatch> watch;
};

}  // namespace

TEST_CASE("a file written in place is reported, once for several steps") {
  Watched files;
  files.open();
  CHECK(files.quiet());
  write(files.directory / "hosts", "10.0.0.2 a\n");
  write(files.directory / "resolv.conf", "nameserver 192.0.2.2\n");
  CHECK(files.tells());
  CHECK(files.quiet());
  write(files.directory / "hosts", "10.0.0.3 a\n");
  CHECK(files.tells());
}

TEST_CASE("a replaced file is reported, each time") {
  Watched files;
  files.open();
  for (int i = 0; i < 3; ++i) {
    write(files.directory / "new", "nameserver 192.0.2.9\n");
    fs::rename(files.directory / "new", files.directory / "resolv.conf");
    CHECK(files.tells());
  }
  CHECK(files.quiet());
}

TEST_CASE("a link's target that is replaced in its own directory is told of, and a new link is") {
  Watched files;
  const fs::path stub = files.directory / "run";
  fs::create_directory(stub);
  write(stub / "stub.conf", "nameserver 192.0.2.1\n");
  fs::remove(files.directory / "resolv.conf");
  fs::create_symlink("run/stub.conf", files.directory / "resolv.conf");
  files.open();
  write(stub / "new", "nameserver 192.0.2.2\n");
  fs::rename(stub / "new", stub / "stub.conf");
  CHECK(files.tells());
  write(stub / "stub.conf", "nameserver 192.0.2.3\n");
  CHECK(files.tells());
  fs::remove(files.directory / "resolv.conf");
  CHECK(files.tells());
  write(files.directory / "resolv.conf", "nameserver 192.0.2.4\n");
  CHECK(files.tells());
}

TEST_CASE("a file that appears later is reported") {
  Watched files;
  fs::remove(files.directory / "hosts");
  files.open();
  write(files.directory / "hosts", "10.0.0.1 a\n");
  CHECK(files.tells());
}

TEST_CASE("other files of the directory are ignored") {
  Watched files;
  files.open();
  write(files.directory / "passwd", "x");
  fs::remove(files.directory / "passwd");
  CHECK(files.quiet());
}

TEST_CASE("a link whose directory does not exist yet is found once its target is there") {
  Watched files;
  fs::remove(files.directory / "resolv.conf");
  fs::create_symlink("run/resolve/stub.conf", files.directory / "resolv.conf");
  files.open();
  fs::create_directories(files.directory / "run/resolve");
  write(files.directory / "run/resolve/stub.conf", "nameserver 192.0.2.2\n");
  CHECK(files.tells());
  CHECK(files.quiet());
  write(files.directory / "run/resolve/stub.conf", "nameserver 192.0.2.3\n");
  CHECK(files.tells());
}
