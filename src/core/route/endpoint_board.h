#pragma once

// Endpoints that are out, shared by all workers: they did not answer a connect(), or refused it, or
// reset the connection before they had sent a byte. Connections try such an endpoint after all
// others, so that only the few connections that find out pay for a dead host. When an endpoint has
// been out for long enough, one connection tries it again while the others still put it off. Each
// failed try doubles the time until the next (limits::out_ms to out_ms_max).
//
// Theory of operation: a fixed table of 64-bit words in sets of eight, one cache line each. A word
// has the whole state of an endpoint and its tag, and changes only by compare-and-swap: there is no
// lock, nothing to free, and a reader never sees the state of one endpoint under the tag of
// another. Sets and tags come from a keyed hash, so nobody can choose endpoints that collide. If
// the 22 bits of two tags agree by chance within a set, one endpoint is tried later than necessary.
//
//   bit 63  in use
//   bit 62  configured: named by the configuration, not by a client ("{name}")
//   bit 61  answered: it was out and has answered since, at the time given
//   60..57  tries in vain since it is out
//   56      held out by a health check: no connection tries it, and none brings it back
//   55..34  tag
//   33..0   time in ticks of 10 ms, which wraps after five years: answered at, else out until
//
// A held endpoint stays until it is released. A full set first evicts endpoints named by clients,
// then those that are due or have answered, then the one that is due first. Clients can never evict
// a configured endpoint.
//
// Times are milliseconds of any monotonic clock.

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "core/address/address.h"
#include "core/address/address_hash.h"
#include "core/limits.h"
#include "core/siphash.h"

namespace sni {

class EndpointBoard {
 public:
  using Id = std::uint64_t;

  // `key` is random, of this process.
  explicit EndpointBoard(const SipKey& key) : key_(key) {}
  EndpointBoard(const EndpointBoard&) = delete;
  EndpointBoard& operator=(const EndpointBoard&) = delete;

  Id id_of(const Endpoint& endpoint) const { return keyed_hash(key_, endpoint); }
  Id id_of(std::string_view unix_path) const { return siphash(key_, unix_path); }

  // Records the failure of a connect() that began at `begun_ms`. Returns whether that is news. It
  // is ignored if a later connect was answered. An endpoint named by a client is recorded only if
  // there is room.
  bool add(Id id, bool configured, std::uint64_t begun_ms, std::uint64_t now_ms);
  // Records that a connect() was answered. Returns whether that is news.
  bool answered(Id id, std::uint64_t now_ms);
  // Whether to try others first. When a retry is due, one caller gets false and makes it.
  bool puts_off(Id id, std::uint64_t now_ms);
  // Marks an endpoint as down by a health check: until release() it is tried only if all others are
  // out. False: its set has no room.
  bool hold(Id id);
  // Marks it as up, or as no longer checked.
  void release(Id id);
  bool is_held(Id id) const;
  // Like puts_off(), but without making the caller try it.
  bool is_out(Id id) const;

 private:
  static constexpr std::size_t set_words = 8;
  static constexpr std::size_t sets = limits::board_endpoints / set_words;
  struct alignas(64) Set {
    std::array<std::atomic<std::uint64_t>, set_words> words{};
  };

  Set& set_of(Id id) { return sets_[id % sets]; }
  const Set& set_of(Id id) const { return sets_[id % sets]; }
  std::atomic<std::uint64_t>* find(Id id);
  bool insert(Id id, bool configured, std::uint64_t now_ms);
  bool put(Id id, std::uint64_t fresh_word, bool configured, std::uint64_t now_ms);

  SipKey key_;
  std::array<Set, sets> sets_{};
};

}  // namespace sni
