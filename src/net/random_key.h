#pragma once

#include "core/siphash.h"

namespace sni {

// For hash tables that clients can fill: a new key from the kernel's random numbers at each call.
SipKey random_key();

}  // namespace sni
