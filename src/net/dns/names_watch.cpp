#include "net/dns/names_watch.h"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

namespace sni {
namespace {

constexpr std::chrono::milliseconds names_settling{200};
// How often a missing file is looked for. It may be a link into a directory that is missing too, as
// before systemd-resolved has started, and inotify cannot watch what is not there.
constexpr std::chrono::milliseconds names_missing{2000};

constexpr std::uint32_t file_events =
    IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;
constexpr std::uint32_t directory_events =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR;

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// The path with all links followed; empty: it does not exist.
std::string real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> found(realpath(path.c_str(), nullptr),
                                                          &std::free);
  return found ? found.get() : std::string();
}

bool watch_in(int epoll, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

Result<NamesWatch> NamesWatch::open(const SystemNamesPaths& paths) {
  NamesWatch watch;
  watch.paths_ = {paths.hosts, paths.resolv_conf};
  watch.changes_ = UniqueFd::adopt(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!watch.changes_) {
    auto failed = fail_sys("cannot watch " + paths.hosts + " and " + paths.resolv_conf, errno);
    if (failed.error().sys_errno == EMFILE) {
      failed.error().what += " (raise fs.inotify.max_user_instances)";
    }
    return failed;
  }
  watch.settled_ = UniqueFd::adopt(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  watch.both_ = UniqueFd::adopt(epoll_create1(EPOLL_CLOEXEC));
  if (!watch.settled_ || !watch.both_ || !watch_in(watch.both_.get(), watch.changes_.get()) ||
      !watch_in(watch.both_.get(), watch.settled_.get())) {
    return fail_sys("cannot wait for changes of " + paths.hosts + " and " + paths.resolv_conf,
                    errno);
  }
  watch.watch_all();
  return watch;
}

// Adding an existing watch changes nothing.
void NamesWatch::watch_all() {
  for (const std::string& path : paths_) {
    inotify_add_watch(changes_.get(), directory_of(path).c_str(), directory_events);
    const std::string real = real_path(path);
    if (real.empty()) {
      if (!settling_) look_in(names_missing);
      continue;
    }
    inotify_add_watch(changes_.get(), directory_of(real).c_str(), directory_events);
    inotify_add_watch(changes_.get(), real.c_str(), file_events);
  }
}

// Other files in these directories change too.
bool NamesWatch::read_events() {
  bool ours = false;
  alignas(inotify_event) std::array<char, 4096> bytes;
  static_assert(sizeof bytes >= sizeof(inotify_event) + NAME_MAX + 1);
  for (;;) {
    const ssize_t length = read(changes_.get(), bytes.data(), bytes.size());
    if (length <= 0) return ours;
    for (std::size_t at = 0; at < static_cast<std::size_t>(length);) {
      const auto* event = reinterpret_cast<const inotify_event*>(bytes.data() + at);
      at += sizeof *event + event->len;
      // IN_IGNORED adds nothing: the watched file is gone.
      ours |= event->len == 0 ? (event->mask & IN_IGNORED) == 0 : is_ours(event->name);
    }
  }
}

// The name of one of the files, or of what it is a link to.
bool NamesWatch::is_ours(std::string_view name) const {
  for (const std::string& path : paths_) {
    for (const std::string& each : {path, real_path(path)}) {
      if (!each.empty() && std::string_view(each).substr(each.rfind('/') + 1) == name) return true;
    }
  }
  return false;
}

void NamesWatch::look_in(std::chrono::milliseconds delay) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(delay);
  const itimerspec after{
      .it_interval = {},
      .it_value = {.tv_sec = seconds.count(),
                   .tv_nsec = std::chrono::nanoseconds(delay - seconds).count()}};
  timerfd_settime(settled_.get(), 0, &after, nullptr);
}

bool NamesWatch::take() {
  if (read_events()) {
    watch_all();
    if (!std::exchange(settling_, true)) look_in(names_settling);
  }
  std::uint64_t expired = 0;
  if (read(settled_.get(), &expired, sizeof expired) != sizeof expired) return false;
  settling_ = false;
  watch_all();
  return true;
}

}  // namespace sni
