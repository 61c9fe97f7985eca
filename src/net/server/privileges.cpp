#include "net/server/privileges.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>

#include "core/unique_fd.h"
#include "net/group_id.h"
#include "net/user_id.h"

namespace sni {

namespace {

// Ports below 1024; marks, interfaces and transparent addresses, tc and XDP; resets and probes of
// spliced connections; BPF programs and maps.
constexpr std::array<unsigned, 5> kept_capabilities{CAP_NET_BIND_SERVICE, CAP_NET_ADMIN,
                                                    CAP_NET_RAW, CAP_PERFMON, CAP_BPF};

// An existing directory may be shared, like /var/log, and stays as it is. A failure here repeats
// when the directory is used, with an error that says for what.
void make_directory(const std::string& path, mode_t mode, const UserId& user) {
  if (path.empty() || mkdir(path.c_str(), mode) != 0) return;
  const UniqueFd made =
      UniqueFd::adopt(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (made) static_cast<void>(fchown(made.get(), user.uid, user.gid) == 0);
}

std::string place_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return std::string(path.substr(0, slash == path.npos ? 0 : slash));
}

void make_places(const Config& config, const UserId& user) {
  constexpr std::string_view unix_socket_prefix = "unix:";
  const std::string& metrics = config.metrics.listen;
  make_directory(place_of(config.control.socket), 0755, user);
  if (metrics.starts_with(unix_socket_prefix)) {
    make_directory(place_of(metrics.substr(unix_socket_prefix.size())), 0755, user);
  }
  make_directory(place_of(config.stats.file), 0750, user);
  make_directory(config.fast_path.pin, 0700, user);
  make_directory(config.fast_path.dns_pin, 0700, user);
  const std::string& log = config.log.access_file;
  if (log.empty()) return;
  make_directory(place_of(log), 0750, user);
  constexpr int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const UniqueFd made = UniqueFd::adopt(open(log.c_str(), flags, 0640));
  if (made) static_cast<void>(fchown(made.get(), user.uid, user.gid) == 0);
}

// Before Linux 5.12 rings, and before 5.11 BPF maps, count as locked memory, for which root has no
// limit.
void lift_locked_memory() {
  const rlimit unbounded{.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  setrlimit(RLIMIT_MEMLOCK, &unbounded);
}

bool become_user(const UserId& user) {
  if (capng_get_caps_process() != 0) return false;
  std::array<bool, kept_capabilities.size()> held{};
  for (std::size_t i = 0; i < held.size(); ++i) {
    held[i] = capng_have_capability(CAPNG_PERMITTED, kept_capabilities[i]) != 0;
  }
  const bool may_bound = capng_have_capability(CAPNG_PERMITTED, CAP_SETPCAP) != 0;
  capng_clear(CAPNG_SELECT_BOTH);
  for (std::size_t i = 0; i < held.size(); ++i) {
    if (!held[i]) continue;  // A container may have withheld it.
    capng_update(CAPNG_ADD, CAPNG_EFFECTIVE, kept_capabilities[i]);
    capng_update(CAPNG_ADD, CAPNG_PERMITTED, kept_capabilities[i]);
  }
  errno = 0;
  if (may_bound && capng_apply(CAPNG_SELECT_BOUNDS) != 0) return false;
  return capng_change_id(static_cast<int>(user.uid), static_cast<int>(user.gid),
                         CAPNG_INIT_SUPP_GRP) == 0 &&
         prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

void warn_of_unreadable(LoadedConfig& loaded) {
  std::vector<std::string> files = loaded.files;
  for (const UpstreamConfig& upstream : loaded.config->upstreams) {
    files.push_back(upstream.password_file);
  }
  files.push_back(loaded.config->access.block_file);
  for (const std::string& file : files) {
    if (file.empty() || access(file.c_str(), R_OK) == 0) continue;
    loaded.warnings.push_back("user '" + loaded.config->user + "' cannot read " + file +
                              ", so that no reload will succeed");
  }
}

}  // namespace

Result<void> drop_privileges(LoadedConfig& loaded) {
  const Config& config = *loaded.config;
  if (config.user.empty()) return {};
  auto user = user_id(config.user);
  if (!user) return fail("this host has no user '" + config.user + "' any more");
  if (!config.group.empty()) {
    const auto group = group_id(config.group);
    if (!group) return fail("this host has no group '" + config.group + "' any more");
    user->gid = *group;
  }
  if (user->uid == geteuid()) return {};
  if (geteuid() != 0) {
    loaded.warnings.emplace_back(
        "server.user is not taken, since the proxy was not started by root");
    return {};
  }
  lift_locked_memory();
  make_places(config, *user);
  if (!become_user(*user)) {
    return fail_sys("cannot become user '" + config.user +
                        "' (needs CAP_SETUID and CAP_SETGID, which a container may withhold)",
                    errno);
  }
  warn_of_unreadable(loaded);
  return {};
}

}  // namespace sni
