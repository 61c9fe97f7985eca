#include "net/log_writer.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>

#include "core/unique_fd.h"

using namespace sni;
using namespace std::chrono_literals;

namespace {

struct LogPipe {
  explicit LogPipe(int flags = 0) {
    std::array<int, 2> ends{};
    REQUIRE(pipe2(ends.data(), O_CLOEXEC | flags) == 0);
    read_end = UniqueFd::adopt(ends[0]);
    write_end = UniqueFd::adopt(ends[1]);
  }
  // Everything up to the end, when the writer is closed.
  std::string rest() {
    write_end.reset();
    std::string text;
    std::array<char, 4096> part{};
    for (ssize_t n = 0; (n = read(read_end.get(), part.data(), part.size())) > 0;) {
      text.append(part.data(), static_cast<std::size_t>(n));
    }
    return text;
  }
  UniqueFd read_end;
  UniqueFd write_end;
};

}  // namespace

TEST_CASE("lines that come close together share their writes") {
  LogPipe pipe(O_DIRECT);  // A packet a write: each read ends with it.
  LogWriter writer(LogWriter::to(pipe.write_end.get()));
  for (int i = 0; i < 200; ++i) writer.put("line\n", 1);
  REQUIRE(writer.stop(5s));
  pipe.write_end.reset();
  std::array<char, 4096> part{};
  ssize_t bytes = 0;
  int writes = 0;
  for (ssize_t n = 0; (n = read(pipe.read_end.get(), part.data(), part.size())) > 0; ++writes) {
    bytes += n;
  }
  CHECK(bytes == 200 * 5);
  CHECK(writes < 20);
}

TEST_CASE("what waits is written before the end, and what comes after it is not") {
  LogPipe pipe;
  LogWriter writer(LogWriter::to(pipe.write_end.get()));
  writer.put("first\n", 1);
  REQUIRE(writer.stop(5s));
  writer.put("too late\n", 1);
  CHECK(pipe.rest() == "first\n");
  CHECK(writer.lost() == 0);
}

TEST_CASE("a reader that is stuck holds nobody up, at the end either") {
  const LogPipe pipe;
  LogWriter writer(LogWriter::to(pipe.write_end.get()));
  const std::string line(1000, 'x');
  constexpr std::uint64_t lines = 3 * LogWriter::queue_bytes_max / 1000;
  for (std::uint64_t i = 0; i < lines; ++i) writer.put(line, 1);
  CHECK(writer.lost() > lines / 2);
  CHECK(writer.lost() < lines);
  CHECK_FALSE(writer.stop(10ms));
  // The remaining thread ends when it has written its data.
  std::array<char, 4096> part{};
  for (std::size_t left = (lines - writer.lost()) * line.size(); left > 0;) {
    const ssize_t n = read(pipe.read_end.get(), part.data(), std::min(left, part.size()));
    REQUIRE(n > 0);
    left -= static_cast<std::size_t>(n);
  }
}

TEST_CASE("lines that cannot be written are lost, and counted") {
  const UniqueFd full = UniqueFd::adopt(open("/dev/full", O_WRONLY | O_CLOEXEC));
  REQUIRE(full);
  LogWriter writer(LogWriter::to(full.get()));
  writer.put("a\nb\n", 2);
  REQUIRE(writer.stop(5s));
  CHECK(writer.lost() == 2);
}
