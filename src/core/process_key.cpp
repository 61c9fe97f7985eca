#include "core/process_key.h"

#include <sys/auxv.h>

#include <bit>
#include <cstring>

namespace sni {
namespace {

// The C library makes its stack canary of the same bytes, so they are not used as they are.
SipKey derive() {
  SipKey random{};
  std::memcpy(random.data(), std::bit_cast<const void*>(getauxval(AT_RANDOM)), sizeof random);
  return {siphash(random, "hash key 0"), siphash(random, "hash key 1")};
}

}  // namespace

const SipKey& process_key() {
  static const SipKey key = derive();
  return key;
}

}  // namespace sni
