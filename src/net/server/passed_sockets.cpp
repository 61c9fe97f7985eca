#include "net/server/passed_sockets.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "core/config/diagnostic.h"
#include "core/decimal.h"
#include "core/limits.h"
#include "net/environment.h"
#include "net/interface_index.h"
#include "net/socket.h"

namespace sni {

namespace {

constexpr int first_passed = 3;  // SD_LISTEN_FDS_START
constexpr std::uint64_t passed_max = 2 * limits::listeners_max;

// The number of sockets for this process.
int count_passed() {
  const auto pid = parse_decimal(environment("LISTEN_PID"), INT32_MAX);
  const auto count = parse_decimal(environment("LISTEN_FDS"), passed_max);
  const bool ours = pid == static_cast<std::uint64_t>(getpid());
  return ours && count ? static_cast<int>(*count) : 0;
}

// A wrong number must not make us close descriptors that we did not get.
bool is_passed_socket(int fd) {
  struct stat status{};
  return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

int socket_option(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, name, &value, &length) == 0 ? value : 0;
}

bool is_listening(int fd) {
  return socket_option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 0;
}

// Why a socket does not fit this listener; empty: it does.
std::string misfit(int fd, const ListenerConfig& listener) {
  if (!is_listening(fd)) return "does not listen";
  if (const Endpoint there = local_of(fd); there != listener.address) {
    return "listens on " + there.to_string(interface_name) + ", and its listener's address is " +
           listener.address.to_string(interface_name);
  }
  const bool v6only = socket_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 0;
  if (listener.address.ip == IpAddress{} && v6only != listener.v6only) {
    return v6only ? "takes IPv6 alone (BindIPv6Only=), and its listener has v6only = false"
                  : "takes IPv4 too, and its listener has v6only = true";
  }
  return {};
}

}  // namespace

PassedSockets PassedSockets::from_environment() {
  PassedSockets passed;
  std::string_view names = environment("LISTEN_FDNAMES");
  const int count = count_passed();
  for (int fd = first_passed; fd < first_passed + count; ++fd) {
    const std::size_t colon = names.find(':');
    const std::string_view name = names.substr(0, colon);
    names.remove_prefix(colon == names.npos ? names.size() : colon + 1);
    if (!is_passed_socket(fd)) continue;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    passed.sockets_.push_back({.name = std::string(name), .fd = UniqueFd::adopt(fd)});
  }
  return passed;
}

Result<UniqueFd> PassedSockets::find(const ListenerConfig& listener, const TcpConfig& tcp) {
  Passed* found = nullptr;
  for (Passed& each : sockets_) {
    const bool named = each.name == listener.name;
    const bool there = is_listening(each.fd.get()) && local_of(each.fd.get()) == listener.address;
    if (named && there) {
      found = &each;
      break;
    }
    // A socket on its address is preferred to one that only has its name.
    if (there || (named && found == nullptr)) found = &each;
  }
  if (found == nullptr) return UniqueFd();
  const std::string what = "the socket " + sni::in_quotes(found->name) + " of the service manager";
  if (const std::string why = misfit(found->fd.get(), listener); !why.empty()) {
    return fail(what + ' ' + why);
  }
  UniqueFd fd = UniqueFd::adopt(fcntl(found->fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!fd) return fail_sys("cannot use " + what, errno);
  if (auto adopted = adopt_listener(fd.get(), tcp); !adopted) {
    return std::unexpected(adopted.error());
  }
  found->used = true;
  return fd;
}

bool PassedSockets::has(const Endpoint& address) const {
  return std::ranges::any_of(
      sockets_, [&](const Passed& each) { return local_of(each.fd.get()) == address; });
}

std::vector<std::string> PassedSockets::close_unused() {
  std::vector<std::string> names;
  std::erase_if(sockets_, [&names](const Passed& each) {
    if (!each.used) names.push_back(sni::in_quotes(each.name));
    return !each.used;
  });
  return names;
}

}  // namespace sni
