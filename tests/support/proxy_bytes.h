#pragma once

// PROXY headers as bytes, to be modified by tests.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/proxy_protocol/proxy_wire.h"
#include "core/proxy_protocol/proxy_writer.h"

namespace sni::test {

using ProxyBytes = std::vector<std::uint8_t>;

inline ProxyBytes proxy_bytes(std::string_view text) {
  return {text.begin(), text.end()};
}

inline std::string text_of(std::span<const std::uint8_t> bytes) {
  return {bytes.begin(), bytes.end()};
}

// A header of version 2 with a correct length.
inline ProxyBytes v2_bytes(std::uint8_t command, std::uint8_t family, const ProxyBytes& block) {
  ProxyBytes bytes(proxy_wire::v2_signature.begin(), proxy_wire::v2_signature.end());
  bytes.push_back(command);
  bytes.push_back(family);
  bytes.push_back(static_cast<std::uint8_t>(block.size() >> 8));
  bytes.push_back(static_cast<std::uint8_t>(block.size()));
  bytes.insert(bytes.end(), block.begin(), block.end());
  return bytes;
}

inline ProxyBytes joined(ProxyBytes bytes, const ProxyBytes& more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
  return bytes;
}

inline ProxyBytes written(const ProxyForm& form, const ProxyFacts& facts) {
  ProxyHeaderSpace space;
  const auto bytes = write_proxy_header(form, facts, space);
  return {bytes.begin(), bytes.end()};
}

inline Endpoint ends_at(std::string_view text) {
  return parse_endpoint(text).value();
}

}  // namespace sni::test
