#pragma once

// One worker's share of the pairs that the SOCKHASH programs serve, and everything that a worker
// does with a pair. All of it is for that worker's thread alone; the other party is the programs,
// which run whenever the kernel likes. Most calls are plain reads and writes of mapped memory.
//
// Same host, in this order: take, expect_backend before connect(); once caught(), add_target and
// from then on, after each completed send to the client, set_forwarded and grant.
//
// Remote: take; forward everything that was received, with no io_uring request left on the
// backend's socket; add_target, add_source, arm, kick. Bytes that the program passes up are
// pending(); they may be sent to the client only when its backlog is drained, and then
// set_forwarded.

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

  // A slot for the pair whose backend-side socket has the cookie `owner`; empty: all are taken.
  // Slots are reused in the order of their return, as late as can be.
  std::optional<std::uint32_t> take(std::uint64_t owner);
  // Ends all redirection of the pair. The sockets' map entries go when they are closed.
  void give_back(std::uint32_t index);

  // Announces the connection that the owner is about to open. Once per connect(): the entry is used
  // up by its success, and give_back removes it after a failure.
  Result<void> expect_backend(std::uint32_t index, std::uint64_t client_cookie);
  // Whether the other end is a socket of this host and under redirect_msg.
  bool caught(std::uint32_t index) const;
  // The other end is on this host, and not known well enough to be caught.
  bool left_out(std::uint32_t index) const;
  // It uses blocking sockets, which a psock disturbs: where it was caught, release it.
  bool blocking(std::uint32_t index) const;
  // Makes the caught socket an ordinary one again; nothing is lost.
  void release_backend(std::uint32_t index);

  // Makes the client's socket one that bytes can be sent out of. Refused where it has seen a FIN.
  Result<void> add_target(int client_fd, std::uint64_t client_cookie) const;
  // Puts the backend's socket under redirect_skb. All that was read from it must have been sent.
  Result<void> add_source(std::uint32_t index, const SourceStart& start);

  // Total bytes of the backend that userspace has completely sent to the client: since connect() on
  // the same host, since add_source for a remote backend.
  void set_forwarded(std::uint32_t index, std::uint64_t bytes);
  std::uint64_t forwarded(std::uint32_t index) const { return at(index).forwarded; }
  // Gives redirect_msg what the client's send queue has room for. Call it on any wake-up that has
  // to do with the pair, before set_forwarded where both are due.
  void grant(std::uint32_t index, int client_fd);
  // Whether so little credit is left that a grant is worth its system call.
  bool wants_grant(std::uint32_t index) const;

  void arm(std::uint32_t index, std::uint32_t backlog_max);
  void disarm(std::uint32_t index);
  // Bytes that wait in the backend's socket, readable with recv().
  std::uint64_t pending(std::uint32_t index) const;
  // The program had to drop bytes (no memory to cut repeated ones off): what is pending() by then
  // is lost, and both sockets have to be reset.
  bool torn(std::uint32_t index) const;
  // Asks for a notice of the next bytes that pass. False: some have passed already, read them.
  [[nodiscard]] bool fall_asleep(std::uint32_t index);

  // Whether redirect_skb has seen all that the backend's socket received. `received` is read after
  // its hang-up was reported, so that the socket's lock puts us behind the verdict of the last
  // bytes.
  bool source_drained(std::uint32_t index, const TcpCounters& received, bool fin) const;
  // Whether all that was redirected or forwarded is in the client's send queue. Until then a send,
  // shutdown or close of the client's socket would overtake or destroy the rest. A socket that was
  // reset has nothing left to drain.
  bool target_drained(std::uint32_t index, int client_fd) const;

  std::uint64_t redirected(std::uint32_t index) const;
  std::uint64_t passed(std::uint32_t index) const;
  std::uint32_t backlog_peak(std::uint32_t index) const;

  // Descriptor to poll for POLLIN. Then, for as long as there is one: a slot that has pending
  // bytes. Notices for pairs that are gone are left out.
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

// Runs the verdict over bytes that were queued before add_source: they would wait for the next
// segment otherwise. Bytes that it passes stay in the socket.
void kick_source(int backend_fd);

}  // namespace sni
