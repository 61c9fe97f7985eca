#include "bpf/sockhash/self_test.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>

#include "bpf/sockhash/kernel_policy.h"
#include "bpf/sockhash/loopback_pair.h"
#include "bpf/sockhash/sock_slots.h"
#include "bpf/sockhash/tcp_counters.h"

namespace sni {
namespace {

// A healthy kernel answers within microseconds; the longest wait of a sick one stays below a
// second.
constexpr int step_timeout_ms = 100;
constexpr std::size_t burst_bytes = 4 << 20;
constexpr std::size_t write_bytes = 64 * 1024;
constexpr std::uint32_t bound = 512 * 1024;

// One pair under test: its slot and the connections.
struct Trial {
  SockSlots& slots;
  LoopbackPair pair;
  std::uint64_t client_cookie = 0;
  std::uint32_t slot = 0;
};

enum class TrialBackend { local, remote };

// Makes a first connection, from which capture_backend learns that sockets of this listener are
// nonblocking. Each request acknowledges the previous answer.
Result<void> teach(SockSlots& slots, LoopbackPair& pair) {
  const auto slot = slots.take(socket_cookie(pair.backend_side.get()));
  if (!slot) return fail("no free slot");
  auto done = slots.expect_backend(*slot, socket_cookie(pair.client_side.get()));
  if (done) done = connect_backend(pair);
  for (int i = 0; done && i <= SOCK_LOOKS; i++) {
    send_within(pair.backend_side.get(), "request", step_timeout_ms);
    receive_within(pair.backend.get(), 7, step_timeout_ms);
    send_within(pair.backend.get(), "answer", step_timeout_ms);
    receive_within(pair.backend_side.get(), 6, step_timeout_ms);
  }
  slots.give_back(*slot);
  if (!done) return done;
  return renew_backend_side(pair);
}

Result<void> connect_trial(Trial& trial, TrialBackend backend) {
  if (backend == TrialBackend::local) {
    auto done = trial.slots.expect_backend(trial.slot, trial.client_cookie);
    if (!done) return done;
  }
  return connect_backend(trial.pair);
}

std::string add_target(Trial& trial) {
  // A send queue whose size the kernel does not change meanwhile, as on the plane.
  const int queue_bytes = 1 << 20;
  ::setsockopt(trial.pair.client_side.get(), SOL_SOCKET, SO_SNDBUFFORCE, &queue_bytes,
               sizeof(queue_bytes));
  const auto done = trial.slots.add_target(trial.pair.client_side.get(), trial.client_cookie);
  return done ? "" : done.error().what;
}

std::string arm(Trial& trial, std::uint32_t backlog_max) {
  if (auto failure = add_target(trial); !failure.empty()) return failure;
  const auto done = trial.slots.add_source(trial.slot, {.backend_fd = trial.pair.backend_side.get(),
                                                        .client_fd = trial.pair.client_side.get(),
                                                        .client_cookie = trial.client_cookie,
                                                        .received = 0});
  if (!done) return done.error().what;
  trial.slots.arm(trial.slot, backlog_max);
  kick_source(trial.pair.backend_side.get());
  return "";
}

std::string expect_at_client(Trial& trial, std::uint64_t offset, std::size_t size) {
  const auto got = receive_within(trial.pair.client.get(), size, step_timeout_ms);
  if (got.size() != size)
    return "only " + std::to_string(got.size()) + " of " + std::to_string(size) + " bytes arrived";
  if (got != test_stream(offset, size)) return "bytes arrived changed or out of order";
  return "";
}

std::string local_order(Trial& trial) {
  if (!trial.slots.caught(trial.slot)) return "the accepted socket was not caught";
  if (auto failure = add_target(trial); !failure.empty()) return failure;
  trial.slots.grant(trial.slot, trial.pair.client_side.get());
  constexpr std::size_t message = 1000;
  constexpr std::size_t messages = 16;
  for (std::size_t i = 0; i < messages; i++)
    if (!send_within(trial.pair.backend.get(), test_stream(i * message, message), step_timeout_ms))
      return "a backend cannot write";
  if (trial.slots.redirected(trial.slot) != message * messages) return "nothing was redirected";
  return expect_at_client(trial, 0, message * messages);
}

// The client does not read: the credit must run out before its socket is full, and no byte may be
// lost between the two ways.
std::string local_full_target(Trial& trial) {
  if (auto failure = add_target(trial); !failure.empty()) return failure;
  trial.slots.grant(trial.slot, trial.pair.client_side.get());
  const auto bytes = test_stream(0, write_bytes);
  std::uint64_t written = 0;
  for (;;) {
    const auto sent = ::send(trial.pair.backend.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) break;
    written += static_cast<std::uint64_t>(sent);
    if (static_cast<std::size_t>(sent) < bytes.size()) break;
    if (written > burst_bytes * 4) return "a backend is never stopped";
  }
  const auto redirected = trial.slots.redirected(trial.slot);
  const auto client = read_tcp_counters(trial.pair.client_side.get());
  if (!client || client->written != redirected) return "redirected bytes are missing";
  const auto got = receive_within(trial.pair.client.get(), redirected, step_timeout_ms);
  const auto rest =
      receive_within(trial.pair.backend_side.get(), written - redirected, step_timeout_ms);
  if (got.size() != redirected || rest.size() != written - redirected) return "bytes were lost";
  if (redirected == 0) return "nothing was redirected";
  return "";
}

// Kernels since 929e30f93125 (2026) report only the bytes that a verdict has queued, here none,
// until a later fix adds those in TCP. nginx then believes that there are no more bytes and does
// not read them.
std::string local_unread(Trial& trial) {
  if (!send_within(trial.pair.backend_side.get(), "request", step_timeout_ms))
    return "the proxy cannot write";
  pollfd poll{.fd = trial.pair.backend.get(), .events = POLLIN, .revents = 0};
  ::poll(&poll, 1, step_timeout_ms);
  int unread = 0;
  ::ioctl(trial.pair.backend.get(), FIONREAD, &unread);
  if (unread == 7) return "";
  return "ioctl(FIONREAD) says " + std::to_string(unread) +
         " where 7 bytes are unread, and programs that believe it (nginx) stop reading";
}

std::string remote_order(Trial& trial) {
  if (auto failure = arm(trial, bound); !failure.empty()) return failure;
  constexpr std::size_t message = 1000;
  constexpr std::size_t messages = 16;
  for (std::size_t i = 0; i < messages; i++)
    if (!send_within(trial.pair.backend.get(), test_stream(i * message, message), step_timeout_ms))
      return "a backend cannot write";
  if (auto failure = expect_at_client(trial, 0, message * messages); !failure.empty())
    return failure;
  return trial.slots.redirected(trial.slot) == message * messages ? "" : "nothing was redirected";
}

// tcp_read_skb() passes a partly read sk_buff to the program whole. It does the same with
// retransmitted bytes, which a test cannot provoke.
std::string remote_repeated(Trial& trial) {
  constexpr std::size_t message = 20'000;
  if (!send_within(trial.pair.backend.get(), test_stream(0, message), step_timeout_ms))
    return "a backend cannot write";
  constexpr std::size_t read = 9000;
  if (receive_within(trial.pair.backend_side.get(), read, step_timeout_ms).size() != read)
    return "a backend's bytes do not arrive";
  if (auto failure = arm(trial, bound); !failure.empty()) return failure;
  return expect_at_client(trial, read, message - read);
}

std::string remote_kick(Trial& trial) {
  if (!send_within(trial.pair.backend.get(), test_stream(0, 100), step_timeout_ms))
    return "a backend cannot write";
  pollfd poll{.fd = trial.pair.backend_side.get(), .events = POLLIN, .revents = 0};
  ::poll(&poll, 1, step_timeout_ms);
  if (auto failure = arm(trial, bound); !failure.empty()) return failure;
  return expect_at_client(trial, 0, 100);
}

bool wait_until_drained(Trial& trial) {
  for (int i = 0; i < step_timeout_ms; i++) {
    if (trial.slots.target_drained(trial.slot, trial.pair.client_side.get())) return true;
    ::poll(nullptr, 0, 1);
  }
  return false;
}

// A client that does not read makes the kernel's own queue hold a burst and send it piece by piece.
// There bytes were lost or duplicated before the fixes of 2025. The bound is off here on purpose.
std::string remote_burst(Trial& trial) {
  if (auto failure = arm(trial, 0xffffffff); !failure.empty()) return failure;
  for (std::size_t at = 0; at < burst_bytes; at += write_bytes)
    if (!send_within(trial.pair.backend.get(), test_stream(at, write_bytes), step_timeout_ms))
      return "the burst was not taken";
  if (trial.slots.target_drained(trial.slot, trial.pair.client_side.get()))
    return "the stuck client was not stuck";
  if (auto failure = expect_at_client(trial, 0, burst_bytes); !failure.empty()) return failure;
  return wait_until_drained(trial) ? "" : "the drain test does not end";
}

std::string remote_fin(Trial& trial) {
  if (auto failure = arm(trial, bound); !failure.empty()) return failure;
  if (!send_within(trial.pair.backend.get(), test_stream(0, 100), step_timeout_ms))
    return "a backend cannot write";
  ::shutdown(trial.pair.backend.get(), SHUT_WR);
  pollfd poll{.fd = trial.pair.backend_side.get(), .events = POLLRDHUP, .revents = 0};
  if (::poll(&poll, 1, step_timeout_ms) != 1) return "the backend's FIN is not reported";
  const auto received = read_tcp_counters(trial.pair.backend_side.get());
  if (!received || !trial.slots.source_drained(trial.slot, *received, true))
    return "the counters of received and redirected bytes differ";
  if (!wait_until_drained(trial)) return "the drain test does not end";
  ::shutdown(trial.pair.client_side.get(), SHUT_WR);
  if (auto failure = expect_at_client(trial, 0, 100); !failure.empty()) return failure;
  int error = 0;
  socklen_t size = sizeof(error);
  ::getsockopt(trial.pair.client_side.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error == 0 ? "" : "the FIN broke the client's socket";
}

struct Case {
  const char* name;
  TrialBackend backend;
  std::vector<SelfTestCase> SelfTest::* list;
  std::string (*run)(Trial&);
};

constexpr Case cases[] = {
    {"sk_msg: order", TrialBackend::local, &SelfTest::local, local_order},
    {"sk_msg: full target", TrialBackend::local, &SelfTest::local, local_full_target},
    {"sk_msg: unread bytes", TrialBackend::local, &SelfTest::unseen, local_unread},
    {"sk_skb: order", TrialBackend::remote, &SelfTest::remote, remote_order},
    {"sk_skb: repeated bytes", TrialBackend::remote, &SelfTest::remote, remote_repeated},
    {"sk_skb: kick", TrialBackend::remote, &SelfTest::remote, remote_kick},
    {"sk_skb: burst against a stuck reader", TrialBackend::remote, &SelfTest::remote, remote_burst},
    {"sk_skb: FIN and drain", TrialBackend::remote, &SelfTest::remote, remote_fin},
};

PlaneVerdict judge_cases(const std::vector<SelfTestCase>& tried) {
  for (const auto& test : tried)
    if (!test.failure.empty())
      return {.usable = false, .reason = "self-test '" + test.name + "' failed: " + test.failure};
  return {.usable = true, .reason = "self-test passed"};
}

}  // namespace

SelfTest run_self_test(Sockhash& sockhash) {
  SelfTest result;
  SockSlots slots(sockhash, 0);
  for (const auto& test : cases) {
    if (test.backend == TrialBackend::local && !sockhash.captures()) continue;
    auto pair = make_loopback_pair();
    if (pair && test.backend == TrialBackend::local)
      if (const auto taught = teach(slots, *pair); !taught) pair = std::unexpected(taught.error());
    const auto slot = pair ? slots.take(socket_cookie(pair->backend_side.get())) : std::nullopt;
    if (!slot) {
      result.not_run = pair ? "no free slot" : pair.error().what;
      return result;
    }
    Trial trial{.slots = slots, .pair = std::move(*pair), .client_cookie = 0, .slot = *slot};
    trial.client_cookie = socket_cookie(trial.pair.client_side.get());
    const auto connected = connect_trial(trial, test.backend);
    if (connected) (result.*test.list).push_back({.name = test.name, .failure = test.run(trial)});
    slots.give_back(*slot);
    if (!connected) {
      result.not_run = connected.error().what;
      return result;
    }
  }
  return result;
}

SockhashVerdict judge(const SelfTest& test, std::string_view kernel_release,
                      std::string_view capture_failure) {
  SockhashVerdict verdict;
  const auto policy = judge_redirect_skb(kernel_release);
  if (!test.not_run.empty()) {
    // redirect_msg has no known bugs; redirect_skb has, so the kernel's release decides.
    verdict.local = {.usable = true, .reason = "self-test could not run: " + test.not_run};
    verdict.remote = {.usable = policy.trusted,
                      .reason = "self-test could not run (" + test.not_run + "), " + policy.reason};
  } else {
    verdict.local = judge_cases(test.local);
    verdict.remote = judge_cases(test.remote);
    verdict.remote.reason += "; kernel policy: " + policy.reason;
  }
  verdict.unseen = judge_cases(test.unseen);
  if (!test.not_run.empty()) verdict.unseen = {.usable = false, .reason = verdict.local.reason};
  if (!capture_failure.empty())
    verdict.local = {.usable = false, .reason = std::string(capture_failure)};
  return verdict;
}

std::vector<std::string> describe(const SelfTest& test, const SockhashVerdict& verdict) {
  const auto plane = [](const char* name, const PlaneVerdict& is) {
    return std::string(name) + (is.usable ? "yes" : "no") + " (" + is.reason + ")";
  };
  std::vector<std::string> lines = {
      plane("sockhash, same host: ", verdict.local),
      plane("sockhash, same host, unseen by backends: ", verdict.unseen),
      plane("sockhash, remote: ", verdict.remote)};
  for (const auto* tried : {&test.local, &test.unseen, &test.remote})
    for (const auto& one : *tried)
      lines.push_back("  " + one.name + ": " + (one.failure.empty() ? "passed" : one.failure));
  return lines;
}

}  // namespace sni
