#pragma once

#include "core/siphash.h"

namespace sni {

// For hash tables that clients can fill: of the kernel's random numbers, another one at each call.
SipKey random_key();

}  // namespace sni
