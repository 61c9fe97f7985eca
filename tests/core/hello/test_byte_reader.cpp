#include "core/hello/byte_reader.h"

#include <doctest/doctest.h>

#include <array>

using sni::ByteReader;

TEST_CASE("integers are read in network order") {
  const std::array<std::uint8_t, 3> bytes{1, 2, 3};
  ByteReader reader(bytes);
  std::uint8_t one = 0;
  std::uint16_t two = 0;
  REQUIRE(reader.u8(one));
  REQUIRE(reader.u16(two));
  CHECK(one == 1);
  CHECK(two == 0x0203);
  CHECK(reader.empty());
  CHECK_FALSE(reader.u8(one));
}

TEST_CASE("a sub-reader ends where its length says") {
  const std::array<std::uint8_t, 5> bytes{2, 10, 11, 0, 99};
  ByteReader reader(bytes);
  ByteReader inner;
  REQUIRE(reader.prefixed_u8(inner));
  CHECK(inner.size() == 2);
  CHECK(inner.skip(2));
  CHECK_FALSE(inner.skip(1));
  CHECK(reader.size() == 2);
}

TEST_CASE("a length beyond the end fails and leaves the reader where it was") {
  const std::array<std::uint8_t, 3> bytes{0, 2, 10};
  ByteReader reader(bytes);
  ByteReader inner;
  CHECK_FALSE(reader.prefixed_u16(inner));
  CHECK(reader.size() == 3);
  std::span<const std::uint8_t> taken;
  CHECK_FALSE(reader.take(4, taken));
  CHECK(reader.take(3, taken));
}
