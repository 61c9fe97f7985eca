#pragma once

// Connection tracking of the host sees the beginning of a spliced flow and never its end, since the
// programs take its packets before netfilter does. Its entries would stay ESTABLISHED for five days
// (nf_conntrack_tcp_timeout_established), so they are deleted at the end (ctnetlink).

#include <cstdint>
#include <optional>

#include "bpf/packet/netlink.h"
#include "core/address/address.h"
#include "core/error.h"

namespace sni {

class Conntrack {
 public:
  // nullopt where connections are not tracked here: asking would load the modules.
  static std::optional<Conntrack> open();

  // Deletes the entry of this TCP connection, from whichever end it was opened; false: there is
  // none, or the kernel refuses.
  bool remove(const Endpoint& one, const Endpoint& other);

 private:
  explicit Conntrack(NetlinkSocket netfilter) : netfilter_(std::move(netfilter)) {}

  NetlinkSocket netfilter_;
};

}  // namespace sni
