#pragma once

// Theory of operation: descriptors are usually the first limit that is reached, so they are divided
// before the start. The needs of the process and its workers come first. Of the rest up to a half
// goes to optional improvements (more resolver sockets, kernel pipes for bulk transfer).
// Connections get what is left, two descriptors each. That number is their limit
// (limits.connections), and a connection beyond it is refused at once, not when the socket to its
// backend fails.

#include <cstdint>

namespace sni {

struct DescriptorNeeds {
  std::uint64_t limit = 0;    // RLIMIT_NOFILE.
  std::uint64_t process = 0;  // Besides the workers': open now, or later.
  std::uint32_t workers = 1;
  std::uint32_t listeners = 1;
  std::uint32_t name_servers = 0;  // 0: no backend has a name.
  bool packet_plane = false;
};

struct DescriptorBudget {
  std::uint32_t connections = 1;
  std::uint32_t splices = 0;  // Kernel pipes of each worker.
};

DescriptorBudget share_descriptors(const DescriptorNeeds& needs);

// The open files that the process needs to start at all.
std::uint64_t descriptors_to_start(const DescriptorNeeds& needs);

}  // namespace sni
