#pragma once

// Theory of operation: descriptors are usually the first limit that is reached, so they are divided
// before the start. The needs of the process and its workers come first. Of the rest up to a half
// goes to optional improvements (more resolver sockets, connects that race, kernel pipes for bulk
// transfer).
// Connections get what is left, two descriptors each. That number is their limit
// (limits.connections), and a connection beyond it is refused at once, not when the socket to its
// backend fails.

#include <cstddef>
#include <cstdint>

#include "core/error.h"

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
  std::uint32_t races = 0;    // Connects of each worker beside the first of their connection.
  std::uint32_t splices = 0;  // Kernel pipes of each worker.
};

DescriptorBudget share_descriptors(const DescriptorNeeds& needs);

// How many clients of the control socket, and how many scrapers of metrics, a process with this
// limit keeps at once.
std::size_t control_clients(std::uint64_t limit);
std::size_t scrape_clients(std::uint64_t limit);

// RLIMIT_NOFILE of this process, as it is or first raised as far as it may be; and its open file
// descriptors.
std::uint64_t descriptor_limit();
std::uint64_t raised_descriptor_limit();
std::uint64_t open_descriptors();
// Whether one more client can be accepted and connected; Error: it cannot, with the figures.
Result<void> check_room_for_one(std::uint64_t limit);

// The open files that the process needs to start at all.
std::uint64_t descriptors_to_start(const DescriptorNeeds& needs);

}  // namespace sni
