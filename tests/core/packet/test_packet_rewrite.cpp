#include "core/packet/packet_rewrite.h"

#include <doctest/doctest.h>

#include <vector>

using namespace sni;

TEST_CASE("a window keeps its meaning under another scale, and an open one stays open") {
  CHECK(translate_window(0, 7, 7) == 0);
  CHECK(translate_window(500, 7, 7) == 500);
  CHECK(translate_window(500, 7, 5) == 2000);
  CHECK(translate_window(1, 0, 14) == 1);
  CHECK(translate_window(65'535, 14, 0) == 65'535);
}

TEST_CASE("a header with a wrong length is left alone") {
  std::vector<std::uint8_t> header(24, 0);
  header[12] = 5 << 4;
  const auto before = header;
  CHECK(!translate_tcp_header(header, {.source_port = 1, .seq_delta = 1, .echo_delta = {}}));
  CHECK(header == before);
  header[12] = 6 << 4;
  CHECK(translate_tcp_header(header, {.source_port = 1, .seq_delta = 1, .echo_delta = {}}));
  CHECK(header[7] == 1);
}
