#include "net/server/descriptor_budget.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>

#include "core/limits.h"

namespace sni {

namespace {

constexpr std::uint64_t per_connection = 2;
constexpr std::uint64_t per_splice = 2;  // A pipe has two ends.
// What connects that race may have of all that is left. Without one the next address is tried when
// the one before has failed.
constexpr std::uint64_t race_share = 32;
// Per worker besides its listeners: the ring, its eventfd, and one for accepting a client that is
// then refused.
constexpr std::uint64_t per_worker = 3;
// Per server: UDP, and TCP for truncated answers.
constexpr std::uint64_t per_name_server = 2;
constexpr std::uint64_t connections_ceiling = 1u << 24;  // Slot numbers, with room to spare.

// A sixteenth of all goes to those who look at the proxy, half to the socket and half to metrics.
constexpr std::uint64_t limit_per_client = 32;

// Besides the workers', as observed with a minimal configuration.
constexpr std::uint64_t least_to_start = 16;

// Descriptors of a worker without connections.
std::uint64_t of_worker(const DescriptorNeeds& needs) {
  return per_worker + needs.listeners + per_name_server * needs.name_servers +
         (needs.packet_plane ? 1 : 0);
}

std::uint64_t saturating_less(std::uint64_t from, std::uint64_t what) {
  return from > what ? from - what : 0;
}

}  // namespace

DescriptorBudget share_descriptors(const DescriptorNeeds& needs) {
  const std::uint64_t channel = per_name_server * needs.name_servers;
  // A connection that is being handed over holds its port with a third one (net/planes/fast_path.cpp).
  const std::uint64_t ports = needs.packet_plane ? needs.limit / 16 : 0;
  std::uint64_t left =
      saturating_less(needs.limit, needs.process + needs.workers * of_worker(needs) + ports);
  std::uint64_t better = left / 2;
  // A channel takes limits::dns_channel_questions, and then only completes those.
  const std::uint64_t more_channels =
      std::min<std::uint64_t>(limits::dns_channels_max - 1, left / limits::dns_channel_questions);
  const std::uint64_t resolvers = std::min(better, needs.workers * channel * more_channels);
  better -= resolvers;
  const std::uint64_t races = std::min(better, left / race_share) / needs.workers;
  better -= needs.workers * races;
  const std::uint64_t splices =
      std::min<std::uint64_t>(limits::splices_max, better / (needs.workers * per_splice));
  left -= resolvers + needs.workers * (races + per_splice * splices);
  return {.connections = static_cast<std::uint32_t>(
              std::clamp<std::uint64_t>(left / per_connection, 1, connections_ceiling)),
          .races = static_cast<std::uint32_t>(std::min(races, connections_ceiling)),
          .splices = static_cast<std::uint32_t>(splices)};
}

std::size_t control_clients(std::uint64_t limit) {
  return std::clamp<std::uint64_t>(limit / limit_per_client, 1, limits::control_clients_max);
}

std::size_t scrape_clients(std::uint64_t limit) {
  return std::clamp<std::uint64_t>(limit / limit_per_client, 1, limits::scrape_clients_max);
}

std::uint64_t descriptor_limit() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  return files.rlim_cur;
}

std::uint64_t raised_descriptor_limit() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  return descriptor_limit();
}

// Linux 6.2 and newer give the number as the directory's size (proc_fd_getattr in fs/proc/fd.c);
// older kernels only have the list.
std::uint64_t open_descriptors() {
  constexpr const char* path = "/proc/self/fd";
  struct stat status{};
  if (stat(path, &status) == 0 && status.st_size > 0) {
    return static_cast<std::uint64_t>(status.st_size);
  }
  DIR* directory = opendir(path);
  if (directory == nullptr) return 0;
  std::uint64_t entries = 0;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone.
  while (readdir(directory) != nullptr) ++entries;
  closedir(directory);
  return entries > 3 ? entries - 3 : 0;  // ".", "..", and the directory itself.
}

Result<void> check_room_for_one(std::uint64_t limit) {
  const std::uint64_t open = open_descriptors();
  if (open + per_connection + 1 <= limit) return {};  // One more is accepted, to be refused.
  return fail(std::to_string(open) +
              " files are open before the first connection, and the limit is " +
              std::to_string(limit) + " (ulimit -n, LimitNOFILE=)");
}

std::uint64_t descriptors_to_start(const DescriptorNeeds& needs) {
  return least_to_start + std::uint64_t{needs.workers} * (per_worker + needs.listeners);
}

}  // namespace sni
