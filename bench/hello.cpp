#include "bench/hello.h"

#include <cstdint>
#include <functional>

namespace sni::bench {
namespace {

// Builds length-prefixed TLS structures (RFC 8446 section 3.4).
class Writer {
 public:
  void u8(unsigned value) { bytes_.push_back(static_cast<std::byte>(value)); }
  void u16(unsigned value) {
    u8(value >> 8 & 0xff);
    u8(value & 0xff);
  }
  void fill(std::size_t count, unsigned value) {
    bytes_.insert(bytes_.end(), count, static_cast<std::byte>(value));
  }
  void text(std::string_view characters) {
    for (const char c : characters) u8(static_cast<std::uint8_t>(c));
  }
  // A vector whose length takes `width` bytes and is known once `body` has run.
  void prefixed(std::size_t width, const std::function<void()>& body) {
    const std::size_t at = bytes_.size();
    fill(width, 0);
    body();
    std::size_t length = bytes_.size() - at - width;
    for (std::size_t i = width; i-- > 0; length >>= 8) {
      bytes_[at + i] = static_cast<std::byte>(length & 0xff);
    }
  }
  void extension(unsigned type, const std::function<void()>& body) {
    u16(type);
    prefixed(2, body);
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

void write_extensions(Writer& out, std::string_view name) {
  out.extension(0x0000, [&] {  // server_name, RFC 6066
    out.prefixed(2, [&] {
      out.u8(0);  // host_name
      out.prefixed(2, [&] { out.text(name); });
    });
  });
  out.extension(0x0010, [&] {  // application_layer_protocol_negotiation, RFC 7301
    out.prefixed(2, [&] {
      for (const std::string_view protocol : {"h2", "http/1.1"}) {
        out.prefixed(1, [&] { out.text(protocol); });
      }
    });
  });
  out.extension(0x000a, [&] {  // supported_groups: X25519MLKEM768, x25519
    out.prefixed(2, [&] {
      out.u16(0x11ec);
      out.u16(0x001d);
    });
  });
  out.extension(0x000d, [&] {  // signature_algorithms: ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256
    out.prefixed(2, [&] {
      out.u16(0x0403);
      out.u16(0x0804);
    });
  });
  out.extension(0x002b, [&] {  // supported_versions: TLS 1.3
    out.prefixed(1, [&] { out.u16(0x0304); });
  });
  out.extension(0x0033, [&] {  // key_share: 1216 bytes of ML-KEM-768 with X25519, and X25519 alone
    out.prefixed(2, [&] {
      out.u16(0x11ec);
      out.prefixed(2, [&] { out.fill(1216, 0x5a); });
      out.u16(0x001d);
      out.prefixed(2, [&] { out.fill(32, 0xa5); });
    });
  });
  out.extension(0xfe0d, [&] {  // encrypted_client_hello as browsers grease it, RFC 9849 section 6.2
    out.u8(0);
    out.u16(0x0001);  // HKDF-SHA256
    out.u16(0x0001);  // AES-128-GCM
    out.u8(0x42);
    out.prefixed(2, [&] { out.fill(32, 0x11); });
    out.prefixed(2, [&] { out.fill(208, 0x22); });
  });
}

}  // namespace

std::vector<std::byte> client_hello(std::string_view name) {
  Writer out;
  out.u8(22);  // handshake
  out.u16(0x0301);
  out.prefixed(2, [&] {
    out.u8(1);  // client_hello
    out.prefixed(3, [&] {
      out.u16(0x0303);
      out.fill(32, 0x77);                            // random
      out.prefixed(1, [&] { out.fill(32, 0x33); });  // legacy_session_id
      out.prefixed(2, [&] {
        for (const unsigned suite : {0x1301u, 0x1302u, 0x1303u}) out.u16(suite);
      });
      out.prefixed(1, [&] { out.u8(0); });  // null compression
      out.prefixed(2, [&] { write_extensions(out, name); });
    });
  });
  return out.take();
}

}  // namespace sni::bench
