#pragma once

// Replaces the global operator new of the program by one that counts. For one file of a program.

#include <cstddef>
#include <cstdlib>
#include <new>

// NOLINTBEGIN(misc-definitions-in-headers,cert-dcl59-cpp): only one file has it.
namespace {

std::size_t allocations = 0;

}  // namespace

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
// If both are inlined, g++ 12 takes free() for a mismatch with this operator new.
#pragma GCC diagnostic push
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
#pragma GCC diagnostic pop
// NOLINTEND(misc-definitions-in-headers,cert-dcl59-cpp)
