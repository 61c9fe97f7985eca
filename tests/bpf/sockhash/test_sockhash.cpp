#include "bpf/sockhash/sockhash.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <string>

#include "bpf/sockhash/sock_fixture.h"

using namespace sni;
using namespace sni::test;

namespace {

// Programs of ours that are loaded on this host, other instances' included.
std::set<std::uint32_t> our_programs() {
  static const std::set<std::string> names = {"redirect_msg", "redirect_skb", "capture_backend"};
  std::set<std::uint32_t> found;
  for (std::uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    const auto program = UniqueFd::adopt(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    std::uint32_t size = sizeof(info);
    if (program && bpf_obj_get_info_by_fd(program.get(), &info, &size) == 0 &&
        names.contains(info.name))
      found.insert(id);
  }
  return found;
}

std::set<std::uint32_t> difference(const std::set<std::uint32_t>& all,
                                   const std::set<std::uint32_t>& less) {
  std::set<std::uint32_t> rest;
  std::ranges::set_difference(all, less, std::inserter(rest, rest.end()));
  return rest;
}

// A child process; ended with the test.
struct Child {
  pid_t pid = -1;
  explicit Child(const std::function<void(int)>& body) {
    int pipe[2];
    check(::pipe2(pipe, O_CLOEXEC), "pipe");
    pid = check(::fork(), "fork");
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      body(pipe[1]);
      ::_exit(0);
    }
    ::close(pipe[1]);
    output = UniqueFd::adopt(pipe[0]);
  }
  void kill_and_wait() {
    if (pid < 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(std::exchange(pid, -1), nullptr, 0);
  }
  ~Child() { kill_and_wait(); }
  UniqueFd output;
};

std::string read_line(int fd) {
  std::string line;
  for (char c = 0; ::read(fd, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

void write_line(int fd, const std::string& text) {
  const auto line = text + "\n";
  [[maybe_unused]] const auto written = ::write(fd, line.data(), line.size());
}

}  // namespace

TEST_CASE("The log names the programs, where they are attached, and the maps") {
  SockFixture fixture;
  const auto& steps = fixture.sockhash->steps();
  REQUIRE(steps.size() == 5);
  CHECK(steps[0] ==
        "programs loaded: capture_backend, redirect_msg, redirect_skb (embedded object)");
  CHECK(steps[1].starts_with("maps ready: SOCK_MAP, SOURCE_MAP, LOCAL_MAP, SLOT_STATE (64 pairs)"));
  CHECK(steps[2] == "program attached: redirect_msg to map LOCAL_MAP");
  CHECK(steps[3] == "program attached: redirect_skb to map SOURCE_MAP");
  CHECK(steps[4].starts_with("program attached: capture_backend to cgroup /"));
}

TEST_CASE("After SIGKILL nothing is left loaded once the caught backend's socket has closed") {
  // A backend of its own process, so that its socket outlives the proxy's.
  const auto listener = Listener::open();
  UniqueFd backend;
  const auto before = our_programs();
  std::set<std::uint32_t> of_proxy;
  {
    Child proxy([&](int output) {
      auto sockhash = Sockhash::load({.slots = 8});
      if (!sockhash || !(*sockhash)->attach_capture()) return;
      SockSlots slots(**sockhash, 0);
      teach(slots, listener);
      auto fd = tcp_socket();
      const auto slot = slots.take(socket_cookie(fd.get())).value();
      if (!slots.expect_backend(slot, 1)) return;
      connect_to(fd.get(), listener.port);
      write_line(output, slots.caught(slot) ? "caught" : "missed");
      ::pause();
    });
    CHECK(read_line(proxy.output.get()) == "caught");
    backend = listener.accept();
    of_proxy = difference(our_programs(), before);
    CHECK(of_proxy.size() >= 3);
    proxy.kill_and_wait();
  }
  // The backend behaves like any socket whose peer is gone.
  CHECK(receive_now(backend.get()).empty());
  backend.reset();
  bool left = true;
  for (int i = 0; left && i < 100; i++) {
    ::usleep(50'000);
    const auto now = our_programs();
    left = std::ranges::any_of(of_proxy, [&](auto id) { return now.contains(id); });
  }
  CHECK_FALSE(left);
}

TEST_CASE("Two instances on one host catch their own backends only") {
  SockFixture one;
  SockFixture other;
  LocalPair of_one(one);
  LocalPair of_other(other);
  CHECK(one.counter(SOCK_CAPTURES) == 1);
  CHECK(other.counter(SOCK_CAPTURES) == 1);
  for (auto* pair : {&of_one, &of_other}) {
    pair->add_target();
    pair->grant();
    send_all(pair->backend.get(), "answer");
    CHECK(receive(pair->client.get(), 6) == "answer");
  }
  CHECK(one.counter(SOCK_MSG_REDIRECTS) == 1);
  CHECK(other.counter(SOCK_MSG_REDIRECTS) == 1);
}

TEST_CASE("Where no slot is free or a map is full, the relay serves") {
  SockFixture fixture(1);  // The maps of sockets have two entries.
  LocalPair first(fixture);
  CHECK_FALSE(fixture.slots->take(12345));
  fixture.slots->give_back(first.slot);
  LocalPair second(fixture);
  fixture.slots->give_back(second.slot);
  LocalPair third(fixture);
  CHECK(fixture.counter(SOCK_CAPTURES) == 2);
  CHECK(fixture.counter(SOCK_CAPTURE_FAILURES) == 1);
  CHECK_FALSE(fixture.slots->caught(third.slot));
  send_all(third.backend.get(), "answer");
  CHECK(receive(third.backend_side.get(), 6) == "answer");
  first.add_target();
  second.add_target();
  const auto refused = fixture.slots->add_target(third.client_side.get(), third.client_cookie);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().sys_errno == E2BIG);
}

TEST_CASE("An object file that is missing, or not ours, is an error that names it") {
  const auto missing = Sockhash::load({.object_file = "/nonexistent/relay.o"});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().what ==
        "cannot open the BPF object /nonexistent/relay.o: No such file or directory");
  const std::string path = "/tmp/sni_test_object_" + std::to_string(::getpid());
  std::ofstream(path) << "not an object";
  const auto wrong = Sockhash::load({.object_file = path});
  std::remove(path.c_str());
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().what.starts_with("cannot open the BPF object " + path));
}

TEST_CASE("Without privilege the error says which capabilities are needed") {
  Child plain([&](int output) {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) return;
    const auto sockhash = Sockhash::load({.slots = 8});
    write_line(output, sockhash ? "loaded" : sockhash.error().what);
  });
  const auto line = read_line(plain.output.get());
  CHECK(line.find("CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON") != std::string::npos);
}

TEST_CASE("Every counter has its own name") {
  for (int stat = 0; stat < SOCK_STATS; stat++)
    for (int other = 0; other < stat; other++)
      CHECK(std::string(counter_name(static_cast<sock_stat>(stat))) !=
            counter_name(static_cast<sock_stat>(other)));
}
