#include <array>

#include "bpf/packet/packet_splice.h"
#include "core/session/counters.h"

namespace sni {

const char* to_string(packet_stat stat) {
  static constexpr std::array names = {
      "foreign packets",
      "foreign packets: not plain TCP",
      "packets observed",
      "acknowledgements left to the local socket",
      "packets forwarded",
      "bytes forwarded",
      "packets forwarded outside the window",
      "resets",
      "resets doubted",
      "SYNs on living connections",
      "finished connections reused",
      "packet-too-big translated",
      "packet-too-big doubted",
      "drops: broken TCP header",
      "drops: the kernel refused the change",
      "drops: the other direction has gone",
      "events",
      "events lost",
      "packets with a wrong checksum",
  };
  static_assert(names.size() == PACKET_STATS);
  return stat < PACKET_STATS ? names[stat] : "unknown";
}

const char* to_string(packet_decline decline) {
  static_assert(packet_declines == PACKET_DECLINES);
  return decline < PACKET_DECLINES ? to_string(static_cast<PacketDecline>(decline)) : "unknown";
}

const char* to_string(packet_state state) {
  static constexpr std::array names = {"observed", "transition", "spliced", "finished",
                                       "forgotten"};
  return state <= PACKET_FORGOTTEN ? names[state] : "unknown";
}

}  // namespace sni
