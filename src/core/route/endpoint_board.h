#pragma once

// Endpoints that are out, as all workers see them: they did not answer a connect(), or refused it,
// or reset the connection before they had sent a byte. Connections try such an endpoint after all
// others, so that a dead host costs its waiting time to the few that find out and not to everybody.
// When an endpoint has been out for long enough one connection tries it again, while the others
// still put it off. Each such try in vain doubles the time until the next (limits::out_ms to
// out_ms_max).
//
// Theory of operation: a fixed table of 64-bit words in sets of eight, one cache line each. A word
// is all that is known of an endpoint, its tag included, and changes by compare-and-swap alone: no
// lock, nothing to free, and a reader never sees the state of one endpoint under the tag of
// another. Sets and tags come from a keyed hash, so nobody can choose endpoints that collide; where
// 22 bits of a tag agree by chance within a set, one endpoint is tried later than it could be.
//
//   bit 63  in use
//   bit 62  configured: named by the configuration, not by a client ("{name}")
//   bit 61  answered: it was out and has answered since, at the time given
//   60..57  tries in vain since it is out
//   56      held out by a health check: no connection tries it, and none brings it back
//   55..34  tag
//   33..0   time in ticks of 10 ms, which wraps after five years: answered at, else out until
//
// What is held stays until it is released. A set that is full forgets first what clients have named, then what is due or has answered, then
// what is due first. Clients can never push out what is configured.
//
// Time comes in as milliseconds of any clock that does not go back.

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "core/address/address.h"
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

  Id id_of(const Endpoint& endpoint) const;
  Id id_of(std::string_view unix_path) const { return siphash(key_, unix_path); }

  // A connect() that began at `begun_ms` has failed. Whether that is news; it says nothing where a
  // later one was answered. From a client's name it is remembered where there is room.
  bool add(Id id, bool configured, std::uint64_t begun_ms, std::uint64_t now_ms);
  // A connect() was answered. Whether that is news.
  bool answered(Id id, std::uint64_t now_ms);
  // Whether to try others first. Who is told no is the one that tries it again.
  bool puts_off(Id id, std::uint64_t now_ms);
  // A health check says that it is down: others are tried first until release(), and only where all
  // are out is it tried. False: its set has no room.
  bool hold(Id id);
  // It is up, or checked no more.
  void release(Id id);
  bool is_held(Id id) const;
  // The same for who only looks: nobody is made to try it.
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
