#pragma once

// Builds ClientHellos for tests and fuzzers, byte by byte as in RFC 8446 4.1.2, and splits them
// into TLS records. To make an invalid hello, give an extension raw bytes or change bytes of a
// valid one.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace sni::test {

using Bytes = std::vector<std::uint8_t>;

inline void append(Bytes& out, std::span<const std::uint8_t> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

inline void append(Bytes& out, std::string_view text) {
  out.insert(out.end(), text.begin(), text.end());
}

// Network order.
inline void append_integer(Bytes& out, std::size_t width, std::size_t value) {
  for (std::size_t i = width; i-- > 0;) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

inline Bytes text_bytes(std::string_view text) {
  return {text.begin(), text.end()};
}

// `content` after its length in `width` bytes.
inline Bytes prefixed(std::size_t width, std::span<const std::uint8_t> content) {
  Bytes out;
  append_integer(out, width, content.size());
  append(out, content);
  return out;
}

// Splits a handshake message into records of the given sizes; the last size is repeated for the
// rest.
inline Bytes in_records(std::span<const std::uint8_t> handshake,
                        std::span<const std::size_t> sizes) {
  Bytes out;
  std::size_t next = 0;
  while (!handshake.empty()) {
    const std::size_t size = std::min(sizes[std::min(next++, sizes.size() - 1)], handshake.size());
    append(out, Bytes{22, 3, 1});
    append(out, prefixed(2, handshake.first(size)));
    handshake = handshake.subspan(size);
  }
  return out;
}

class ClientHelloBuilder {
 public:
  ClientHelloBuilder& legacy_version(std::uint16_t version) {
    legacy_version_ = version;
    return *this;
  }
  ClientHelloBuilder& session_id(std::size_t size) {
    session_id_ = Bytes(size, 0x5e);
    return *this;
  }
  ClientHelloBuilder& cipher_suites(Bytes suites) {
    cipher_suites_ = std::move(suites);
    return *this;
  }
  ClientHelloBuilder& compressions(Bytes compressions) {
    compressions_ = std::move(compressions);
    return *this;
  }
  // Extensions are in the order of the calls; the same one twice is a duplicate.
  ClientHelloBuilder& extension(std::uint16_t type, std::span<const std::uint8_t> content) {
    append_integer(extensions_, 2, type);
    append(extensions_, prefixed(2, content));
    has_extensions_ = true;
    return *this;
  }
  ClientHelloBuilder& server_name(std::string_view name) {
    Bytes entry{0};
    append(entry, prefixed(2, text_bytes(name)));
    return extension(0, prefixed(2, entry));
  }
  ClientHelloBuilder& alpn(std::initializer_list<std::string_view> protocols) {
    Bytes list;
    for (const auto protocol : protocols) append(list, prefixed(1, text_bytes(protocol)));
    return extension(16, prefixed(2, list));
  }
  ClientHelloBuilder& supported_versions(std::initializer_list<std::uint16_t> versions) {
    Bytes list;
    for (const auto version : versions) append_integer(list, 2, version);
    return extension(43, prefixed(1, list));
  }
  // One share of `size` bytes; X25519MLKEM768 (0x11ec) has 1,216.
  ClientHelloBuilder& key_share(std::uint16_t group, std::size_t size) {
    Bytes share;
    append_integer(share, 2, group);
    append(share, prefixed(2, Bytes(size, 0xa5)));
    return extension(51, prefixed(2, share));
  }
  ClientHelloBuilder& encrypted_client_hello() {
    return extension(0xfe0d, Bytes{0, 0, 1, 0, 1, 7, 0, 2, 9, 9, 0, 1, 8});
  }
  // RFC 7685.
  ClientHelloBuilder& padding(std::size_t size) { return extension(21, Bytes(size, 0)); }
  // An extension block without extensions, which is not the same as none.
  ClientHelloBuilder& empty_extensions() {
    has_extensions_ = true;
    return *this;
  }
  // Bytes after the end of the hello's last structure.
  ClientHelloBuilder& trailing(Bytes bytes) {
    trailing_ = std::move(bytes);
    return *this;
  }

  // The message without its handshake header.
  Bytes body() const {
    Bytes out;
    append_integer(out, 2, legacy_version_);
    append(out, Bytes(32, 0x11));
    append(out, prefixed(1, session_id_));
    append(out, prefixed(2, cipher_suites_));
    append(out, prefixed(1, compressions_));
    if (has_extensions_) append(out, prefixed(2, extensions_));
    append(out, trailing_);
    return out;
  }
  Bytes handshake() const {
    Bytes out{1};
    append(out, prefixed(3, body()));
    return out;
  }
  // In one record, or in as many of `record_size` bytes as it takes.
  Bytes wire(std::size_t record_size = 16 * 1024) const {
    return in_records(handshake(), std::span(&record_size, 1));
  }

 private:
  std::uint16_t legacy_version_ = 0x0303;
  Bytes session_id_ = Bytes(32, 0x5e);
  Bytes cipher_suites_{0x13, 0x01, 0x13, 0x02, 0xc0, 0x2f};
  Bytes compressions_{0};
  Bytes extensions_;
  Bytes trailing_;
  bool has_extensions_ = false;
};

// The hello of a current browser: several hundred bytes plus a post-quantum key share.
inline ClientHelloBuilder browser_hello(std::string_view name) {
  ClientHelloBuilder hello;
  hello.extension(0x2a2a, {})
      .server_name(name)
      .alpn({"h2", "http/1.1"})
      .supported_versions({0x3a3a, 0x0304, 0x0303})
      .key_share(0x11ec, 1216)
      .padding(300)
      .encrypted_client_hello();
  return hello;
}

}  // namespace sni::test
