#pragma once

// The host's connection tracking sees the beginning of a spliced flow but never its end, since the
// programs take its packets before netfilter. Its entries would stay ESTABLISHED for five days
// (nf_conntrack_tcp_timeout_established), so they are deleted at the end (ctnetlink).

#include <cstdint>
#include <optional>

#include "bpf/netlink.h"
#include "core/address/address.h"
#include "core/error.h"

namespace sni {

class Conntrack {
 public:
  // nullopt if connections are not tracked here: opening would load the modules.
  static std::optional<Conntrack> open();

  // Deletes the entry of this TCP connection, whichever end opened it; false: there is none, or the
  // kernel refuses.
  bool remove(const Endpoint& one, const Endpoint& other);

 private:
  explicit Conntrack(NetlinkSocket netfilter) : netfilter_(std::move(netfilter)) {}

  NetlinkSocket netfilter_;
};

}  // namespace sni
