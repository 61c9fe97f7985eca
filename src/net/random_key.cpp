#include "net/random_key.h"

#include <sys/auxv.h>
#include <sys/random.h>

#include <bit>
#include <cstring>

namespace sni {

SipKey random_key() {
  SipKey key{};
  if (getrandom(key.data(), sizeof key, 0) == sizeof key) return key;
  // If getrandom() is forbidden: 16 random bytes that the kernel gives every process
  // (getauxval(3)).
  std::memcpy(key.data(), std::bit_cast<const void*>(getauxval(AT_RANDOM)), sizeof key);
  return key;
}

}  // namespace sni
