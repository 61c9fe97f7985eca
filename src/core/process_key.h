#pragma once

#include "core/siphash.h"

namespace sni {

// A key for hash tables that is secret and the same for as long as the process runs. It is derived
// from the random bytes that the kernel gives every process (AT_RANDOM, getauxval(3)): they are in
// its memory, so this is no system call.
const SipKey& process_key();

}  // namespace sni
