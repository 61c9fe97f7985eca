#pragma once

// Wraps c-ares: questions go in with a tag, replies come out of a queue, and ResolverIo watches the
// sockets. c-ares handles packets, retries, servers, truncation and TCP; names, hosts, search
// lists, merging and caching are ours (net/dns/resolver.h).
//
// - A and AAAA are asked for separately, each with ares_getaddrinfo() and one family. With
//   AF_UNSPEC c-ares 1.18 waits for the slower of the two. If neither gives an address, it returns
//   the status of the one that ended last: SERVFAIL for A and then "no data" for AAAA would become
//   "not found".
// - ARES_AI_NOSORT: its RFC 6724 sorting opens and connects a UDP socket per address within the
//   call, and we interleave the families anyway.
// - Names go in with a trailing dot: no search list, no HOSTALIASES, in any version.
// - c-ares reads no file of its own: servers are given, lookups are "b" (DNS alone).
// - Link-local servers ("fe80::1%eth0") have a scope, which newer versions of c-ares accept. To
//   older ones we give only the address, make their sockets ourselves and add the scope in
//   connect().
// - Services (SRV) are asked by ares_query(), and net/dns/service_reply.h reads the answer.
// - The callback only queues a reply. It may run within ask(), on_ready(), on_tick() and the
//   destructor, and c-ares must not be entered again from there.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/config/config.h"
#include "core/dns/dns_question.h"
#include "core/error.h"
#include "net/dns/resolver_io.h"

struct sockaddr;
struct ares_channeldata;
struct ares_addrinfo;

namespace sni {

class DnsChannel {
 public:
  // `watch_ids` is the last id used. It outlives the channel, so that a later channel does not
  // reuse its ids.
  static Result<std::unique_ptr<DnsChannel>> create(const DnsConfig& config,
                                                    const std::vector<Endpoint>& servers,
                                                    ResolverIo& io, std::uint32_t& watch_ids);
  // Unwatches all sockets. Questions under way get no reply.
  ~DnsChannel();
  DnsChannel(const DnsChannel&) = delete;
  DnsChannel& operator=(const DnsChannel&) = delete;

  // One TaggedReply will follow. `name` is absolute, without its trailing dot.
  void ask(const std::string& name, DnsFamily family, std::uint64_t tag);

  struct TaggedReply {
    std::uint64_t tag;
    DnsFamily family;
    DnsReply reply;
  };
  // Replies since the last call.
  std::vector<TaggedReply> take_replies() { return std::exchange(replies_, {}); }

  // Whether the watch is one of this channel's.
  bool on_ready(std::uint32_t watch_id, bool readable, bool writable);
  // When c-ares has its next timeout, by the caller's clock.
  std::optional<std::uint64_t> next_deadline_ms(std::uint64_t now_ms);
  void on_tick();

 private:
  // A socket of c-ares. watch_id 0: not armed at present.
  struct Socket {
    int fd;
    std::uint32_t watch_id;
    bool readable;
    bool writable;
  };
  struct Call {
    DnsChannel* channel;
    std::uint64_t tag;
    DnsFamily family;
  };

  DnsChannel(ResolverIo& io, std::uint32_t& watch_ids) : io_(io), watch_ids_(watch_ids) {}
  Result<void> open(const DnsConfig& config, const std::vector<Endpoint>& servers);
  Result<void> set_servers(const std::vector<Endpoint>& servers);
  void connect_by_scope(const std::vector<Endpoint>& servers);
  int connect_to(int fd, const sockaddr* address, unsigned length) const;
  static void on_service_answer(void* call, int status, int timeouts, unsigned char* message,
                                int size);
  static void on_answer(void* call, int status, int timeouts, ares_addrinfo* found);
  static void on_socket_state(void* channel, int fd, int readable, int writable);
  void arm(Socket& socket);

  ResolverIo& io_;
  std::uint32_t& watch_ids_;
  ares_channeldata* channel_ = nullptr;
  std::vector<Socket> sockets_;  // One or two per server.
  std::vector<TaggedReply> replies_;
  std::vector<Endpoint> scoped_servers_;  // Link-local ones, where c-ares cannot take scopes.
  bool closing_ = false;
};

}  // namespace sni
