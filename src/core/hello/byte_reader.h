#pragma once

// A bounded cursor over untrusted bytes. Every read reports whether the bytes were there. A
// length-prefixed vector becomes a reader of its own, so a length can never reach beyond the
// structure that contains it. A failed read leaves the cursor where it was.

#include <cstddef>
#include <cstdint>
#include <span>

namespace sni {

class ByteReader {
 public:
  ByteReader() = default;
  explicit ByteReader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  bool empty() const { return bytes_.empty(); }
  std::size_t size() const { return bytes_.size(); }
  std::span<const std::uint8_t> rest() const { return bytes_; }

  [[nodiscard]] bool take(std::size_t count, std::span<const std::uint8_t>& out) {
    if (bytes_.size() < count) return false;
    out = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return true;
  }

  [[nodiscard]] bool skip(std::size_t count) {
    std::span<const std::uint8_t> skipped;
    return take(count, skipped);
  }

  [[nodiscard]] bool u8(std::uint8_t& out) { return integer<1>(out); }
  [[nodiscard]] bool u16(std::uint16_t& out) { return integer<2>(out); }

  // A vector behind a length of 1 or 2 bytes (RFC 8446 3.4).
  [[nodiscard]] bool prefixed_u8(ByteReader& out) { return prefixed<1, std::uint8_t>(out); }
  [[nodiscard]] bool prefixed_u16(ByteReader& out) { return prefixed<2, std::uint16_t>(out); }

 private:
  // Network order.
  template <std::size_t width, typename T>
  bool integer(T& out) {
    std::span<const std::uint8_t> digits;
    if (!take(width, digits)) return false;
    std::uint32_t value = 0;
    for (const std::uint8_t digit : digits) value = value << 8 | digit;
    out = static_cast<T>(value);
    return true;
  }

  template <std::size_t width, typename T>
  bool prefixed(ByteReader& out) {
    ByteReader ahead = *this;
    T length = 0;
    std::span<const std::uint8_t> content;
    if (!ahead.integer<width>(length) || !ahead.take(length, content)) return false;
    *this = ahead;
    out = ByteReader(content);
    return true;
  }

  std::span<const std::uint8_t> bytes_;
};

}  // namespace sni
