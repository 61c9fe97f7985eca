#pragma once

#include <cstddef>
#include <string>

#include "core/error.h"

namespace sni {

// The whole file. One that is longer than bytes_max is an error, so that a device or a runaway file
// in its place costs no more than that; a FIFO without a writer is empty.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);

}  // namespace sni
