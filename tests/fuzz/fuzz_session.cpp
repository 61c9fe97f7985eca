// Each input byte is a choice of what happens next; an exhausted input chooses 0.

#include <cstdint>
#include <span>

#include "support/session_world.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::span rest(data, size);
  sni::test::SessionWorld world([&rest](std::size_t n) -> std::size_t {
    if (rest.empty()) return 0;
    const std::size_t choice = rest.front() % n;
    rest = rest.subspan(1);
    return choice;
  });
  world.run(size);
  return 0;
}
