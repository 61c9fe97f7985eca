#include "bpf/packet/packet_self_test.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <span>
#include <thread>
#include <utility>

#include "bpf/packet/handover.h"
#include "bpf/packet/packet_lab.h"
#include "bpf/sockhash/loopback_pair.h"
#include "core/unique_fd.h"

namespace sni {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A healthy kernel answers within microseconds, and a grace period takes about 20 ms; on a busy
// host a SYN may be sent twice.
constexpr int answer_timeout_ms = 3000;
// While a host starts all its services, CPU may be short for seconds.
constexpr milliseconds handover_timeout{8000};
constexpr std::size_t stream_bytes = 256 * 1024;
// Names that no connection gets: those of connections count up from 1.
constexpr std::uint64_t first_flow = ~std::uint64_t{0} - 16;

struct Place {
  const char* name;
  const char* client;
  const char* listen;
  const char* backend;
  bool local;
};
constexpr Place places[] = {
    {"IPv4, remote backend", "198.18.0.2:0", "198.18.0.1:0", "198.18.0.2:0", false},
    {"IPv6, remote backend", "[2001:db8::2]:0", "[2001:db8::1]:0", "[2001:db8::2]:0", false},
    {"IPv4, backend on lo", "198.18.0.2:0", "198.18.0.1:0", "127.0.0.1:0", true},
    {"IPv6, backend on lo", "[2001:db8::2]:0", "[2001:db8::1]:0", "[::1]:0", true},
};
// For processes that may not make namespaces, as under a service manager that drops most
// privileges.
constexpr Place own_loopback = {"IPv4, all on lo", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0",
                                true};
// The MTU of lo is larger than that of the wire. The IPv6 header is 20 bytes longer.
constexpr int local_mss_v4 = 1460;
constexpr int local_mss_v6 = 1440;

struct PacketTrial {
  UniqueFd client, client_side, backend_side, backend;
  HandoverPair pair;
};

// A nonblocking socket bound to `at`; for port 0 the kernel chooses.
Result<UniqueFd> bound_socket(const Endpoint& at) {
  auto fd = UniqueFd::adopt(
      ::socket(at.ip.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_storage address{};
  const socklen_t size = to_sockaddr(at, address);
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0)
    return fail_sys("cannot make a socket at " + at.to_string(), errno);
  return fd;
}

Result<UniqueFd> listening(const Endpoint& at) {
  auto fd = bound_socket(at);
  if (fd && ::listen(fd->get(), 1) != 0) return fail_sys("cannot listen", errno);
  return fd;
}

Endpoint local_name(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return from_sockaddr(address).value_or(Endpoint{});
}

bool await(int fd, short events) {
  pollfd poll{.fd = fd, .events = events, .revents = 0};
  return ::poll(&poll, 1, answer_timeout_ms) == 1;
}

// Starts the connection; accept_from() completes it.
Result<void> connect(int fd, const Endpoint& target) {
  sockaddr_storage address{};
  const socklen_t size = to_sockaddr(target, address);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0 && errno != EINPROGRESS)
    return fail_sys("cannot connect to " + target.to_string(), errno);
  return {};
}

Result<UniqueFd> accept_from(const UniqueFd& listener) {
  if (!await(listener.get(), POLLIN)) return fail("no connection came");
  auto fd =
      UniqueFd::adopt(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) return fail_sys("cannot accept", errno);
  return fd;
}

void limit_segments(const UniqueFd& socket, const Endpoint& at) {
  const int mss = at.ip.is_v4() ? local_mss_v4 : local_mss_v6;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss);
}

// Makes both connections, watched, and relays an answer, so that packets of both were seen.
Result<void> connect_trial(PacketSplice& plane, const PacketLab& lab, const Place& place,
                           std::uint64_t flow, PacketTrial& trial) {
  const Endpoint listen = *parse_endpoint(place.listen);
  const Endpoint backend = *parse_endpoint(place.backend);
  trial.pair.flow = flow;
  auto proxy_listener = listening(listen);
  if (!proxy_listener) return std::unexpected(proxy_listener.error());
  const Endpoint front = local_name(proxy_listener->get());

  if (auto done = lab.enter_far(); !done) return std::unexpected(done.error());
  auto client = bound_socket(*parse_endpoint(place.client));
  auto backend_listener = place.local ? Result<UniqueFd>{} : listening(backend);
  if (auto done = lab.enter_proxy(); !done) return std::unexpected(done.error());
  if (place.local) backend_listener = listening(backend);
  if (!client) return std::unexpected(client.error());
  if (!backend_listener) return std::unexpected(backend_listener.error());

  if (lab.wire() == lab.loopback()) {  // Its MTU is more than half of a first window.
    for (const UniqueFd* each : {&*proxy_listener, &*client, &*backend_listener}) {
      limit_segments(*each, listen);
    }
  }
  trial.client = std::move(*client);
  trial.pair.keys.client = make_packet_key(local_name(trial.client.get()), front);
  auto done = plane.watch(trial.pair.keys.client, flow, PACKET_CLIENT);
  if (done) done = connect(trial.client.get(), front);
  if (!done) return std::unexpected(done.error());
  auto accepted = accept_from(*proxy_listener);
  if (!accepted) return std::unexpected(accepted.error());
  trial.client_side = std::move(*accepted);

  const Endpoint target = local_name(backend_listener->get());
  auto backend_side = bound_socket({.ip = place.local ? backend.ip : listen.ip});
  if (!backend_side) return std::unexpected(backend_side.error());
  trial.backend_side = std::move(*backend_side);
  if (place.local) limit_segments(trial.backend_side, backend);
  trial.pair.keys.backend = make_packet_key(target, local_name(trial.backend_side.get()));
  done = plane.watch(trial.pair.keys.backend, flow, PACKET_BACKEND);
  if (done) done = connect(trial.backend_side.get(), target);
  if (!done) return std::unexpected(done.error());
  accepted = accept_from(*backend_listener);
  if (!accepted) return std::unexpected(accepted.error());
  trial.backend = std::move(*accepted);

  trial.pair.client_fd = trial.client_side.get();
  trial.pair.backend_fd = trial.backend_side.get();
  trial.pair.client_ifindex = lab.wire();
  trial.pair.backend_ifindex = place.local ? lab.loopback() : lab.wire();
  return {};
}

// Relays the first bytes of each direction.
std::string greet(PacketTrial& trial) {
  const auto pass = [](int from, int near, int far, int to) {
    return send_within(from, "hello", answer_timeout_ms) &&
           receive_within(near, 5, answer_timeout_ms) == "hello" &&
           send_within(far, "hello", answer_timeout_ms) &&
           receive_within(to, 5, answer_timeout_ms) == "hello";
  };
  if (!pass(trial.client.get(), trial.client_side.get(), trial.backend_side.get(),
            trial.backend.get()) ||
      !pass(trial.backend.get(), trial.backend_side.get(), trial.client_side.get(),
            trial.client.get()) ||
      !pass(trial.client.get(), trial.client_side.get(), trial.backend_side.get(),
            trial.backend.get()))
    return "plain TCP does not work here";
  return "";
}

std::string hand_over(PacketSplice& plane, GracePeriods& grace, PacketTrial& trial) {
  Handover handover(plane, grace, trial.pair, {.quiesce = handover_timeout});
  const auto deadline = Clock::now() + handover_timeout;
  for (;;) {
    const auto step = handover.step(Clock::now());
    if (step.state == HandoverState::spliced) break;
    if (step.state != HandoverState::waiting)
      return std::string("not handed over: ") + to_string(step.decline) + " " + step.why;
    if (Clock::now() > deadline) return "the hand-over does not end";
    ::poll(nullptr, 0, static_cast<int>(step.again.count()));
  }
  trial.client_side.reset();
  trial.backend_side.reset();
  return "";
}

std::string carry(const char* direction, int from, int to) {
  const std::string stream = test_stream(0, stream_bytes);
  std::string got;
  std::jthread reader([&] { got = receive_within(to, stream.size(), answer_timeout_ms); });
  const bool sent = send_within(from, stream, answer_timeout_ms);
  reader.join();
  if (!sent || got.size() < stream.size())
    return std::string(direction) + ": only " + std::to_string(got.size()) + " of " +
           std::to_string(stream.size()) + " bytes arrive";
  return got == stream ? "" : std::string(direction) + ": bytes arrive that were not sent";
}

std::string end(PacketSplice& plane, PacketTrial& trial) {
  ::shutdown(trial.client.get(), SHUT_WR);
  ::shutdown(trial.backend.get(), SHUT_WR);
  char byte = 0;
  if (!await(trial.backend.get(), POLLIN) || ::recv(trial.backend.get(), &byte, 1, 0) != 0 ||
      !await(trial.client.get(), POLLIN) || ::recv(trial.client.get(), &byte, 1, 0) != 0)
    return "a FIN does not arrive";
  std::vector<packet_event> events;
  const auto deadline = Clock::now() + milliseconds{answer_timeout_ms};
  do {
    plane.take_events(events);
    for (const packet_event& event : events) {
      if (event.flow != trial.pair.flow || event.kind != PACKET_EVENT_END) continue;
      if (event.bytes[PACKET_CLIENT] != stream_bytes || event.bytes[PACKET_BACKEND] != stream_bytes)
        return "bytes are miscounted";
      return "";
    }
    pollfd poll{.fd = plane.events_fd(), .events = POLLIN, .revents = 0};
    ::poll(&poll, 1, answer_timeout_ms);
  } while (Clock::now() < deadline);
  return "the end is not noticed";
}

std::string run_case(PacketSplice& plane, GracePeriods& grace, const PacketLab& lab,
                     const Place& place, std::uint64_t flow) {
  PacketTrial trial;
  const auto connected = connect_trial(plane, lab, place, flow, trial);
  std::string failure = connected ? greet(trial) : connected.error().what;
  if (failure.empty()) failure = hand_over(plane, grace, trial);
  if (failure.empty()) failure = carry("up", trial.client.get(), trial.backend.get());
  if (failure.empty()) failure = carry("down", trial.backend.get(), trial.client.get());
  if (failure.empty()) failure = end(plane, trial);
  plane.forget(trial.pair.keys, flow);
  return failure;
}

PacketSelfTest try_places(PacketSplice& plane, const Result<PacketLab>& lab,
                          std::span<const Place> tried) {
  PacketSelfTest test;
  if (!lab) {
    test.not_run = lab.error().what;
    return test;
  }
  GracePeriods grace;
  std::uint64_t flow = first_flow;
  for (const Place& place : tried) {
    if (place.listen[0] == '[' && !lab->has_ipv6()) continue;
    // The plane's table may be as small as one flow. After a failure further cases add nothing.
    test.cases.push_back({place.name, run_case(plane, grace, *lab, place, flow++)});
    plane.release_forgotten(~std::uint64_t{0});
    if (!test.passed()) break;
  }
  return test;
}

}  // namespace

bool PacketSelfTest::passed() const {
  return reason().empty();
}

std::string PacketSelfTest::reason() const {
  if (!not_run.empty()) return "the self-test could not run: " + not_run;
  for (const PacketCase& test : cases) {
    if (!test.failure.empty()) return "self-test, " + test.name + ": " + test.failure;
  }
  return "";
}

// Each runs on a thread of its own: a thread that builds a lab stays in its namespace, even if the
// lab is incomplete.
PacketSelfTest run_packet_self_test(PacketSplice& plane) {
  PacketSelfTest test;
  std::jthread([&] {
    test = try_places(plane, PacketLab::build(plane.program_fd(PacketLink::ethernet)), places);
  }).join();
  if (test.not_run.empty()) return test;
  std::jthread([&] {
    test = try_places(plane, PacketLab::on_own_loopback(), std::span(&own_loopback, 1));
  }).join();
  return test;
}

std::vector<std::string> describe(const PacketSelfTest& test) {
  std::vector<std::string> lines;
  const std::string reason = test.reason();
  lines.push_back("packet plane: " + (reason.empty() ? std::string("yes") : "no, " + reason));
  for (const PacketCase& tried : test.cases)
    lines.push_back("  " + tried.name + ": " + (tried.failure.empty() ? "works" : tried.failure));
  return lines;
}

}  // namespace sni
