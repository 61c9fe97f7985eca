#pragma once

// libbpf prints warnings to stderr by itself: the reason why a program was refused, with the
// verifier's words. They belong into the log, which is not this layer's.

#include <string_view>

namespace sni {

// Takes one line without its end. From any thread.
using LibbpfLine = void (*)(std::string_view line);

// From now on lines go there; nullptr: nowhere.
void tell_libbpf_lines(LibbpfLine line);

// Before anything is asked of libbpf: it prints nothing by itself any more.
void catch_libbpf_lines();

}  // namespace sni
