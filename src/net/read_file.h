#pragma once

#include <cstddef>
#include <string>

#include "core/error.h"

namespace sni {

// Reads the whole file. More than bytes_max is an error, which bounds the cost of a device or a
// runaway file in its place. A FIFO without a writer is empty.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);

}  // namespace sni
