#pragma once

// Proxied pairs under the SOCKHASH programs, driven with plain sockets and no event loop.

#include <bpf/bpf.h>
#include <doctest/doctest.h>

#include <memory>
#include <tuple>

#include "bpf/sockhash/loopback_pair.h"
#include "bpf/sockhash/sock_slots.h"
#include "bpf/sockhash/sockhash.h"
#include "support/tcp_pair.h"

namespace sni::test {

// The value of a Result; shows the error if there is none.
template <typename T>
T must(Result<T> result) {
  if (!result) FAIL(result.error().what);
  return std::move(*result);
}

inline void must(Result<void> result) {
  if (!result) FAIL(result.error().what);
}

struct SockFixture {
  std::unique_ptr<Sockhash> sockhash;
  std::unique_ptr<SockSlots> slots;

  explicit SockFixture(std::uint32_t pairs = 64)
      : sockhash(must(Sockhash::load({.slots = pairs}))) {
    must(sockhash->attach_capture());
    slots = std::make_unique<SockSlots>(*sockhash, 0);
  }

  std::uint64_t counter(sock_stat stat) const { return sockhash->counters()[stat]; }

  bool has(const char* map, std::uint64_t key) const {
    sock_pair value{};
    return bpf_map_lookup_elem(sockhash->map_fd(map), &key, &value) == 0;
  }
};

// Shows capture_backend how the listener's accepted sockets are used, in a separate connection.
// Each request acknowledges the previous answer.
inline void teach(SockSlots& slots, const Listener& listener, bool blocking = false,
                  int answers = SOCK_LOOKS) {
  const auto near = tcp_socket();
  const auto slot = slots.take(socket_cookie(near.get())).value();
  must(slots.expect_backend(slot, 1));
  connect_to(near.get(), listener.port);
  send_all(near.get(), "request");
  const auto far = listener.accept();
  if (!blocking) set_nonblocking(far.get());
  for (int i = 0; i < answers; i++) {
    send_all(far.get(), "answer");
    receive(near.get(), 6);
    send_all(near.get(), "request");
  }
  slots.give_back(slot);
}

// A backend on this host: announced, connected, and so captured.
struct LocalPair : ProxiedPair {
  SockFixture& fixture;
  Listener listener = Listener::open();
  std::uint32_t slot = 0;
  std::uint64_t client_cookie = 0;
  std::uint64_t forwarded = 0;

  explicit LocalPair(SockFixture& owner, int client_receive_buffer = 0) : fixture(owner) {
    std::tie(client, client_side) = connected(client_receive_buffer);
    backend_side = tcp_socket();
    client_cookie = socket_cookie(client_side.get());
    teach(*fixture.slots, listener);
    slot = fixture.slots->take(socket_cookie(backend_side.get())).value();
    must(fixture.slots->expect_backend(slot, client_cookie));
    connect_to(backend_side.get(), listener.port);
    backend = listener.accept();
    // Event-driven, like most backends; the helpers of tcp_pair.h wait if necessary.
    set_nonblocking(backend.get());
  }

  void add_target() { must(fixture.slots->add_target(client_side.get(), client_cookie)); }
  void grant() { fixture.slots->grant(slot, client_side.get()); }
  // An unlimited credit: redirection without the credit rule.
  void grant_without_bound() {
    auto& state = fixture.sockhash->slot(slot);
    state.credit = state.owner << 32 | 0xffffffff;
  }

  // Forwards bytes that came over loopback TCP, like the userspace relay.
  void forward(std::string_view bytes) {
    send_all(client_side.get(), bytes);
    forwarded += bytes.size();
    grant();
    fixture.slots->set_forwarded(slot, forwarded);
  }
};

}  // namespace sni::test
