#include "bench/process.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

using namespace sni::bench;

namespace {

// Whether the process is gone, or will be within two seconds.
bool ends(pid_t pid) {
  for (int i = 0; i < 200; ++i) {
    if (::kill(pid, 0) != 0) return true;
    ::poll(nullptr, 0, 10);
  }
  return false;
}

}  // namespace

TEST_CASE("a child that is stopped is gone, its own children included") {
  std::array<int, 2> ends_of{};
  REQUIRE(::pipe(ends_of.data()) == 0);
  auto child = Child::call(-1, [&] {
    ::signal(SIGTERM, SIG_IGN);  // The stubborn kind.
    const pid_t grandchild = ::fork();
    if (grandchild > 0) (void)!::write(ends_of[1], &grandchild, sizeof grandchild);
    for (;;) ::pause();
  });
  REQUIRE(child.has_value());
  pid_t grandchild = 0;
  REQUIRE(::read(ends_of[0], &grandchild, sizeof grandchild) == sizeof grandchild);
  const pid_t pid = child->pid();
  CHECK(child->running());
  child->stop();
  CHECK_FALSE(child->running());
  CHECK(ends(pid));
  CHECK(ends(grandchild));
  ::close(ends_of[0]);
  ::close(ends_of[1]);
}

TEST_CASE("a child dies with its parent, even where that is killed") {
  std::array<int, 2> ends_of{};
  REQUIRE(::pipe(ends_of.data()) == 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    auto child = Child::call(-1, [] {
      for (;;) ::pause();
    });
    const pid_t pid = child->pid();
    (void)!::write(ends_of[1], &pid, sizeof pid);
    for (;;) ::pause();
  }
  pid_t pid = 0;
  REQUIRE(::read(ends_of[0], &pid, sizeof pid) == sizeof pid);
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  CHECK(ends(pid));
  ::close(ends_of[0]);
  ::close(ends_of[1]);
}

TEST_CASE("a child that ended by itself is noticed") {
  auto child = Child::call(-1, [] {});
  REQUIRE(child.has_value());
  for (int i = 0; i < 200 && child->running(); ++i) ::poll(nullptr, 0, 10);
  CHECK_FALSE(child->running());
}

TEST_CASE("a tool's output is returned, and its failure quotes it") {
  CHECK(run_tool({find_program("echo"), "hello"}).value() == "hello\n");
  const auto failed = run_tool({find_program("ls"), "/no/such/directory"});
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().what.find("/no/such/directory") != std::string::npos);
  CHECK(find_program("no-such-program-anywhere").empty());
}
