#include <arpa/inet.h>

#include <cstring>
#include <utility>

#include "bpf/packet/packet_splice.h"

namespace sni {
namespace {

IpAddress address_of(const __be32 (&words_be)[4]) {
  IpAddress address;
  std::memcpy(address.bytes.data(), words_be, address.bytes.size());
  return address;
}

}  // namespace

packet_key make_packet_key(const Endpoint& source, const Endpoint& target) {
  packet_key key{};
  std::memcpy(key.source_be, source.ip.bytes.data(), sizeof key.source_be);
  std::memcpy(key.target_be, target.ip.bytes.data(), sizeof key.target_be);
  key.source_port_be = htons(source.port);
  key.target_port_be = htons(target.port);
  key.family = source.ip.is_v4() ? PACKET_IPV4 : PACKET_IPV6;
  return key;
}

packet_key reversed(const packet_key& key) {
  packet_key other = key;
  std::memcpy(other.source_be, key.target_be, sizeof other.source_be);
  std::memcpy(other.target_be, key.source_be, sizeof other.target_be);
  std::swap(other.source_port_be, other.target_port_be);
  return other;
}

Endpoint packet_source(const packet_key& key) {
  return {.ip = address_of(key.source_be), .port = ntohs(key.source_port_be)};
}

Endpoint packet_target(const packet_key& key) {
  return {.ip = address_of(key.target_be), .port = ntohs(key.target_port_be)};
}

std::uint64_t PacketEntry::bytes() const {
  return packet_flow_bytes(&flow);
}

}  // namespace sni
