#pragma once

// This host's connection tracking (ctnetlink) and spliced flows.
//
// A connection that is translated (NAT) must not be joined: its packets would no longer be. Mostly
// they do not arrive under the addresses that the socket has, but behind a bridge they may:
// br_netfilter translates before the programs of tc look. So the entry is asked for.
//
// The programs take a flow's packets before netfilter, so conntrack sees nothing of it or, behind a
// bridge, what its ends send but not what they get. It would call their packets invalid as soon as
// they acknowledge what it has not seen; tolerate() prevents that. And it never sees the end: its
// entries would stay ESTABLISHED for five days (nf_conntrack_tcp_timeout_established), so they are
// deleted.

#include <cstdint>
#include <optional>

#include "bpf/netlink.h"
#include "core/address/address.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

class Conntrack {
 public:
  enum class Entry : std::uint8_t { none, plain, translated };

  // nullopt if connections are not tracked here: opening would load the modules.
  static std::optional<Conntrack> open();

  // The entry of this TCP connection, by the addresses that our socket has. A translated connection
  // has others in its other direction. Costs 5 us, or 0.5 us if there are no entries at all.
  Entry find(const Endpoint& own, const Endpoint& far);
  // Lets packets of either end be valid whatever their numbers are; false: there is no entry, or the
  // kernel refuses. Costs 4 us.
  bool tolerate(const Endpoint& one, const Endpoint& other);
  // Deletes the entry of this TCP connection, whichever end opened it; false: there is none, or the
  // kernel refuses.
  bool remove(const Endpoint& one, const Endpoint& other);

 private:
  Conntrack(UniqueFd count, NetlinkSocket netfilter)
      : count_(std::move(count)), netfilter_(std::move(netfilter)) {}
  bool is_empty() const;

  UniqueFd count_;  // The number of entries of this namespace.
  NetlinkSocket netfilter_;
};

}  // namespace sni
