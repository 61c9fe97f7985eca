#pragma once

// libbpf prints warnings to stderr by itself, such as the verifier's reason for refusing a program.
// They belong in the log, which this layer does not have.

#include <string_view>

namespace sni {

// Called with one line without its newline. Called from any thread.
using LibbpfLine = void (*)(std::string_view line);

// Sets the receiver of the lines; nullptr: they are dropped.
void tell_libbpf_lines(LibbpfLine line);

// Stops libbpf from printing by itself. To be called before any other use of it.
void catch_libbpf_lines();

}  // namespace sni
