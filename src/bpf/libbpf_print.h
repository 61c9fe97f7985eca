#pragma once

// What libbpf says by itself. Without us it would write to stderr, past the log
// and its format; what matters of it for an error is in our errors already.

#include <string_view>

namespace sni {

// Every line of libbpf from now on, without its newline, on the thread that
// libbpf is called on.
using LibbpfLine = void (*)(std::string_view line);
void print_libbpf_to(LibbpfLine line);
// Nobody wants to hear it, unless print_libbpf_to() has been called.
void keep_libbpf_quiet();

}  // namespace sni
