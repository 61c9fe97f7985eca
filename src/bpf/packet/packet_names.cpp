#include <array>

#include "bpf/packet/packet_splice.h"

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
  };
  static_assert(names.size() == PACKET_STATS);
  return stat < PACKET_STATS ? names[stat] : "unknown";
}

const char* to_string(packet_decline decline) {
  static constexpr std::array names = {
      "taken",
      "the plane is off",
      "the backend is not a TCP address",
      "the table of flows is full",
      "no hooked interface on the route",
      "an interface of an untried kind",
      "packets do not arrive under the expected addresses (NAT?)",
      "timestamps, SACK or window scaling on one side only",
      "ECN on one side only",
      "TCP options that are not understood",
      "segments of one side do not fit the other side's path",
      "one side was promised more than the other has room for",
      "bytes stay unacknowledged",
      "the connection is closing",
      "the kernel refused",
  };
  static_assert(names.size() == PACKET_DECLINES);
  return decline < PACKET_DECLINES ? names[decline] : "unknown";
}

const char* to_string(packet_state state) {
  static constexpr std::array names = {"observed", "transition", "spliced", "finished",
                                       "forgotten"};
  return state <= PACKET_FORGOTTEN ? names[state] : "unknown";
}

}  // namespace sni
