#include "bench/stage.h"

#include <arpa/inet.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "bench/clock.h"
#include "bench/hello.h"
#include "bench/interrupt.h"
#include "bench/observer.h"
#include "bench/pin.h"
#include "bench/run_name.h"

namespace sni::bench {
namespace {

// Names, each with its own backend port.
constexpr std::uint16_t name_count = 8;

constexpr Timing lesson{.warmup_s = 0, .window_s = 0.1};
constexpr std::uint32_t lesson_bytes = 64;

std::string name_of(std::uint16_t i) {
  return "s" + std::to_string(i) + ".bench.example";
}

sockaddr_in socket_address(in_addr address, std::uint16_t port) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr = address;
  name.sin_port = htons(port);
  return name;
}

// Two descriptors each in a proxy, and some for itself.
std::uint64_t connections_allowed() {
  return (std::min<std::uint64_t>(descriptor_limit(), 20'000) - 400) / 2;
}

// The output of a failed program: the end of its log.
std::string last_words(const std::string& log) {
  std::ifstream file(log);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  constexpr std::size_t shown = 400;
  if (text.size() > shown) text = "..." + text.substr(text.size() - shown);
  while (text.ends_with('\n')) text.pop_back();
  return text.empty() ? "it said nothing" : text;
}

// Whether a row adds information at a site other than the first: the cost of a log or a choice does
// not depend on the place of the backend, nor that of sockets on a bridge behind them.
bool tells_more(const Site& site, const Proxy& relay) {
  if (site.prefix.empty()) return true;
  if (relay.as_remote || relay.balanced > 1 || relay.observed || relay.log_level != "warning")
    return false;
  return site.role != Role::container || relay.plane != "sockhash";
}

}  // namespace

Result<std::unique_ptr<Stage>> Stage::create(bool namespaces, const std::string& program) {
  remove_leftovers();
  auto ledger = Ledger::create();
  if (!ledger) return std::unexpected(ledger.error());
  auto lab = namespaces ? Lab::namespaces() : Result<Lab>(Lab::loopback());
  if (!lab) return std::unexpected(lab.error());
  auto stage = std::make_unique<Stage>(std::move(*lab), std::move(*ledger));
  std::string directory = std::filesystem::temp_directory_path() / (run_prefix() + "XXXXXX");
  if (::mkdtemp(directory.data()) == nullptr) {
    return fail_sys("cannot make a directory " + directory, errno);
  }
  stage->directory_ = directory;
  if (auto started = stage->start_backends(); !started) return std::unexpected(started.error());
  stage->list_entries(program);
  return stage;
}

Stage::~Stage() {
  sites_.clear();  // Ends the backends before their namespaces go.
  std::error_code ignored;
  if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
}

Result<void> Stage::start_backends() {
  const in_addr home = socket_address({htonl(INADDR_LOOPBACK)}, 0).sin_addr;
  const auto add = [&](const char* prefix, const char* title, Role role, BackendStyle style) {
    const bool beside = role == Role::proxy;  // The proxy reaches it by loopback.
    const in_addr away =
        role == Role::container ? lab_.container_address() : lab_.backend_address();
    sites_.push_back({.prefix = prefix,
                      .title = title,
                      .role = role,
                      .style = style,
                      .direct = beside ? lab_.proxy_address() : away,
                      .behind = beside ? home : away,
                      .first_port = static_cast<std::uint16_t>(8000 + 100 * sites_.size()),
                      .backend = {}});
  };
  if (lab_.isolated()) {
    add("", "backend in another namespace, routed", Role::backend, BackendStyle::event);
    add("bridge/", "backend in a container behind a bridge, event-driven", Role::container,
        BackendStyle::event);
    add("local/", "backend beside the proxy on loopback, event-driven", Role::proxy,
        BackendStyle::event);
  } else {
    add("", "all on loopback, event-driven backend", Role::backend, BackendStyle::event);
  }
  add("blocking/", "backend beside the proxy on loopback, blocking", Role::proxy,
      BackendStyle::blocking);
  // In our own namespaces every port is free; elsewhere each run uses another range below the
  // ephemeral ports.
  if (!lab_.isolated()) {
    const auto corner = static_cast<std::uint16_t>(10'000 + ::getpid() % 70 * 300);
    for (Site& site : sites_)
      site.first_port = static_cast<std::uint16_t>(site.first_port - 8000 + corner);
    proxy_port_ = static_cast<std::uint16_t>(corner + 50);
  }
  for (Site& site : sites_) {
    const InNamespace inside(lab_.netns(site.role));
    auto listeners = listen_on({htonl(INADDR_ANY)}, site.first_port, name_count);
    if (!listeners) return std::unexpected(listeners.error());
    auto child = Child::call(lab_.netns(site.role), [&] {
      const Pinned pinned(backend_cpu);
      if (site.style == BackendStyle::blocking) serve_blocking(*listeners, ledger_);
      serve_events(*listeners, ledger_);
    });
    if (!child) return std::unexpected(child.error());
    site.backend = std::move(*child);
  }
  return {};
}

void Stage::list_entries(const std::string& program) {
  const std::vector<Proxy> relays = planes(program, lab_.isolated());
  const std::vector<Proxy> peers = installed_peers();
  for (std::size_t i = 0; i < sites_.size(); ++i) {
    const std::string& prefix = sites_[i].prefix;
    const std::string base = prefix + relays.front().id;
    const auto add = [&](RowKind kind, const std::string& id, const std::string& title,
                         const std::string& version, std::optional<Proxy> proxy) {
      entries_.push_back({.row = {.id = prefix + id,
                                  .title = title,
                                  .group = prefix,
                                  .base = base,
                                  .kind = kind,
                                  .version = version},
                          .site = i,
                          .proxy = std::move(proxy)});
    };
    add(RowKind::direct, "direct", "no proxy", {}, {});
    for (const Proxy& relay : relays) {
      if (!tells_more(sites_[i], relay)) continue;
      add(RowKind::plane, relay.id, relay.title, relay.version, relay);
    }
    // A peer's figures do not depend on the place of the backend.
    if (!prefix.empty()) continue;
    for (const Proxy& peer : peers) add(RowKind::peer, peer.id, peer.title, peer.version, peer);
  }
}

Scene Stage::scene(const Site& site) const {
  Scene scene{.address = to_string(lab_.proxy_address()),
              .port = proxy_port_,
              .routes = {},
              .connections = connections_allowed(),
              .directory = directory_};
  for (std::uint16_t i = 0; i < name_count; ++i) {
    scene.routes.push_back(
        {.name = name_of(i),
         .backend = to_string(site.behind) + ":" + std::to_string(site.first_port + i)});
  }
  return scene;
}

Result<Candidate> Stage::start(const Entry& entry, std::optional<int> cpu) {
  const Site& site = sites_[entry.site];
  if (!site.backend.running()) return fail("the backend has died");
  Candidate candidate;
  candidate.target.ledger = &ledger_;
  candidate.target.backend = site.backend.pid();
  candidate.target.sources = lab_.client_addresses();
  for (std::uint16_t i = 0; i < name_count; ++i) {
    candidate.target.hellos.push_back(client_hello(name_of(i)));
  }
  if (!entry.proxy) {
    for (std::uint16_t i = 0; i < name_count; ++i) {
      candidate.target.addresses.push_back(
          socket_address(site.direct, static_cast<std::uint16_t>(site.first_port + i)));
    }
    return candidate;
  }
  candidate.target.addresses.push_back(socket_address(lab_.proxy_address(), proxy_port_));
  const std::string log = directory_ + "/" + entry.proxy->id + ".log";
  std::optional<Pinned> pinned;
  if (cpu) pinned.emplace(*cpu);
  auto child = Child::run(lab_.netns(Role::proxy), prepare(*entry.proxy, scene(site)), log);
  pinned.reset();
  if (!child) return std::unexpected(child.error());
  candidate.child = std::move(*child);
  candidate.target.proxy = candidate.child.pid();
  if (auto ready = wait_ready(candidate, log); !ready) return std::unexpected(ready.error());
  if (entry.proxy->observed) {
    const Scene here = scene(site);
    auto observer = observe({.program = entry.proxy->program,
                             .control_socket = control_socket(here),
                             .metrics_socket = metrics_socket(here)});
    if (!observer) return std::unexpected(observer.error());
    candidate.observer = std::move(*observer);
  }
  // One connection to each backend before anything is measured: caches fill, and the kernel planes
  // learn how the backends use their sockets.
  const InNamespace inside(lab_.netns(Role::client));
  (void)load_ping_pong(candidate.target, lesson, name_count, lesson_bytes);
  return candidate;
}

Result<void> Stage::wait_ready(Candidate& candidate, const std::string& log) {
  const InNamespace inside(lab_.netns(Role::client));
  const std::uint64_t deadline = now_ns() + 5 * second_ns;
  while (now_ns() < deadline && !interrupted()) {
    if (!candidate.child.running()) return fail("did not start: " + last_words(log));
    if (open_session(candidate.target, 0, Command{.op = Op::hold})) return {};
    ::poll(nullptr, 0, 5);
  }
  return fail("does not listen: " + last_words(log));
}

}  // namespace sni::bench
