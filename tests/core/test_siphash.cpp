#include "core/siphash.h"

#include <doctest/doctest.h>

#include <string>

using namespace sni;

TEST_CASE("SipHash-2-4 gives the authors' test values for every length around a word") {
  // Key 00 01 .. 0f, message 00 01 .. of the length (reference implementation, vectors_sip64).
  constexpr SipKey key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
  std::string message;
  for (char c = 0; c < 15; c++) message += c;
  CHECK(siphash(key, "") == 0x726fdb47dd0e0e31);
  CHECK(siphash(key, message.substr(0, 1)) == 0x74f839c593dc67fd);
  CHECK(siphash(key, message.substr(0, 7)) == 0xab0200f58b01d137);
  CHECK(siphash(key, message.substr(0, 8)) == 0x93f5f5799a932462);
  CHECK(siphash(key, message) == 0xa129ca6149be45e5);
}

TEST_CASE("Another key gives another hash") {
  CHECK(siphash({1, 2}, "name.example") != siphash({1, 3}, "name.example"));
}
