#pragma once

// Theory of operation: descriptors are the limit that everybody meets first, so they are shared out
// before the start. What the process and its workers cannot do without comes first. Of the rest up
// to a half goes to what makes things better (more resolver sockets, kernel pipes for bulk), and
// connections get two each of what then is left: that many are promised (limits.connections), and
// the surplus is refused as beyond the limit, before a backend is asked for a socket that is not
// there.

#include <cstdint>

namespace sni {

struct DescriptorNeeds {
  std::uint64_t limit = 0;    // RLIMIT_NOFILE.
  std::uint64_t process = 0;  // Beside the workers': open by now, or later.
  std::uint32_t workers = 1;
  std::uint32_t listeners = 1;
  std::uint32_t name_servers = 0;  // 0: no backend is a name.
  bool packet_plane = false;
};

struct DescriptorBudget {
  std::uint32_t connections = 1;
  std::uint32_t splices = 0;  // Kernel pipes of each worker.
};

DescriptorBudget share_descriptors(const DescriptorNeeds& needs);

// Without so many open files at once the process cannot even start.
std::uint64_t descriptors_to_start(const DescriptorNeeds& needs);

}  // namespace sni
