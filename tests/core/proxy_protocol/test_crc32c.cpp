#include "core/proxy_protocol/crc32c.h"

#include <doctest/doctest.h>

#include <numeric>
#include <string_view>
#include <vector>

using namespace sni;

namespace {

std::uint32_t crc32c(std::span<const std::uint8_t> bytes) {
  Crc32c sum;
  sum.add(bytes);
  return sum.value();
}

}  // namespace

TEST_CASE("CRC32C has the values of RFC 3720, appendix B.4") {
  CHECK(crc32c(std::vector<std::uint8_t>(32, 0x00)) == 0x8a9136aa);
  CHECK(crc32c(std::vector<std::uint8_t>(32, 0xff)) == 0x62a8ab43);
  std::vector<std::uint8_t> rising(32);
  std::iota(rising.begin(), rising.end(), std::uint8_t{0});
  CHECK(crc32c(rising) == 0x46dd794e);
  CHECK(crc32c({}) == 0);
}

TEST_CASE("a checksum is the same however the bytes are cut") {
  const std::string_view text = "123456789";
  const std::span bytes(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  Crc32c cut;
  cut.add(bytes.first(4));
  cut.add(bytes.subspan(4));
  CHECK(cut.value() == 0xe3069283);
  CHECK(crc32c(bytes) == 0xe3069283);
}
