#pragma once

// One worker's share of the pairs that the SOCKHASH programs serve, and all operations of a worker
// on a pair. It belongs to that worker's thread. The programs run concurrently at any time. Most
// calls are plain reads and writes of mapped memory.
//
// Same host, in this order: take; expect_backend before connect(); once caught(), add_target; then,
// after each completed send to the client, set_forwarded and grant.
//
// Remote backend: take; forward everything received, with no io_uring request left on the backend's
// socket; add_target, add_source, arm, kick. Bytes that the program passes up are pending(). They
// may be sent to the client only when its backlog is drained; then call set_forwarded.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "bpf/sockhash/sockhash.h"
#include "bpf/sockhash/tcp_counters.h"

struct ring_buffer;

namespace sni {

struct SourceStart {
  int backend_fd = -1;
  int client_fd = -1;
  std::uint64_t client_cookie = 0;
  std::uint64_t received = 0;  // Bytes that userspace has read from the backend, all forwarded.
};

class SockSlots {
 public:
  SockSlots(Sockhash& sockhash, unsigned worker);
  ~SockSlots();
  SockSlots(const SockSlots&) = delete;
  SockSlots& operator=(const SockSlots&) = delete;

  // Takes a slot for the pair whose backend-side socket has the cookie `owner`; empty: all are in
  // use. Slots are reused in the order of their return, as late as possible.
  std::optional<std::uint32_t> take(std::uint64_t owner);
  // Ends all redirection of the pair. The sockets' map entries go when they are closed.
  void give_back(std::uint32_t index);

  // Announces the connection that the owner is about to open, once per connect(). Success consumes
  // the entry, and give_back removes it after a failure.
  Result<void> expect_backend(std::uint32_t index, std::uint64_t client_cookie);
  // Whether the other end is a socket of this host under redirect_msg.
  bool caught(std::uint32_t index) const;
  // Whether the other end is on this host, but its mode is not known well enough to capture it.
  bool left_out(std::uint32_t index) const;
  // Whether it uses blocking sockets, which a psock disturbs: release it if it was captured.
  bool blocking(std::uint32_t index) const;
  // Makes the captured socket an ordinary one again; no bytes are lost.
  void release_backend(std::uint32_t index);

  // Makes the client's socket a target of redirection. Refused if it has received a FIN.
  Result<void> add_target(int client_fd, std::uint64_t client_cookie) const;
  // Puts the backend's socket under redirect_skb. All bytes read from it must have been sent.
  Result<void> add_source(std::uint32_t index, const SourceStart& start);

  // Sets the total bytes of the backend that userspace has sent to the client: since connect() on
  // the same host, since add_source for a remote backend.
  void set_forwarded(std::uint32_t index, std::uint64_t bytes);
  std::uint64_t forwarded(std::uint32_t index) const { return at(index).forwarded; }
  // Grants redirect_msg the free room of the client's send queue. Call it on any wake-up for the
  // pair, before set_forwarded if both are due.
  void grant(std::uint32_t index, int client_fd);
  // Whether the credit is low enough that a grant is worth its system call.
  bool wants_grant(std::uint32_t index) const;

  void arm(std::uint32_t index, std::uint32_t backlog_max);
  void disarm(std::uint32_t index);
  // Bytes that wait in the backend's socket, readable with recv().
  std::uint64_t pending(std::uint32_t index) const;
  // Whether the program had to drop bytes (no memory to cut off repeated ones): the pending() bytes
  // are lost, and both sockets must be reset.
  bool torn(std::uint32_t index) const;
  // Asks for a notice of the next bytes that pass. False: some have already passed, read them.
  [[nodiscard]] bool fall_asleep(std::uint32_t index);

  // Whether redirect_skb has seen all that the backend's socket received. `received` must be read
  // after its hang-up was reported, so that the socket's lock orders it after the verdict on the
  // last bytes.
  bool source_drained(std::uint32_t index, const TcpCounters& received, bool fin) const;
  // Whether all redirected and forwarded bytes are in the client's send queue. Until then a send,
  // shutdown or close of the client's socket would overtake or destroy the rest. A reset socket has
  // nothing left to drain.
  bool target_drained(std::uint32_t index, int client_fd) const;

  std::uint64_t redirected(std::uint32_t index) const;
  std::uint64_t passed(std::uint32_t index) const;
  std::uint32_t backlog_peak(std::uint32_t index) const;

  // The descriptor to poll for POLLIN. Then call the next function until it has no more: each
  // result is a slot with pending bytes. Notices for past pairs are left out.
  int notice_fd() const;
  std::optional<std::uint32_t> take_notice();

 private:
  sock_slot& at(std::uint32_t index) const { return sockhash_.slot(index); }

  Sockhash& sockhash_;
  unsigned worker_;
  int sock_map_;
  int source_map_;
  int registered_;
  int local_map_;
  int source_pair_;
  std::deque<std::uint32_t> free_;
  ring_buffer* ring_ = nullptr;
  std::vector<std::uint32_t> noticed_;
};

// Runs the verdict on bytes that were queued before add_source; otherwise they would wait for the
// next segment. Bytes that it passes stay in the socket.
void kick_source(int backend_fd);

}  // namespace sni
