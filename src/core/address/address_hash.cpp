#include "core/address/address_hash.h"

#include <array>
#include <cstring>
#include <type_traits>

#include "core/process_key.h"

namespace sni {
namespace {

template <typename Value>
std::uint64_t hash_of_bytes(const SipKey& key, const Value& value) {
  static_assert(std::has_unique_object_representations_v<Value>);
  std::array<char, sizeof value> bytes;
  std::memcpy(bytes.data(), &value, sizeof value);
  return siphash(key, {bytes.data(), bytes.size()});
}

}  // namespace

std::uint64_t keyed_hash(const SipKey& key, const IpAddress& address) {
  return hash_of_bytes(key, address);
}

std::uint64_t keyed_hash(const SipKey& key, const Endpoint& endpoint) {
  // An Endpoint has padding.
  struct Whole {
    IpAddress ip;
    std::uint32_t scope;
    std::uint32_t port;
  };
  return hash_of_bytes(key,
                       Whole{.ip = endpoint.ip, .scope = endpoint.scope, .port = endpoint.port});
}

}  // namespace sni

std::size_t std::hash<sni::IpAddress>::operator()(const sni::IpAddress& address) const noexcept {
  return sni::keyed_hash(sni::process_key(), address);
}

std::size_t std::hash<sni::Endpoint>::operator()(const sni::Endpoint& endpoint) const noexcept {
  return sni::keyed_hash(sni::process_key(), endpoint);
}
