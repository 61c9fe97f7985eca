#include "net/planes/packet_service.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "bpf/packet/monotonic.h"
#include "core/counted.h"

namespace sni {
namespace {

// How often workers check some of their flows, and forgotten entries are deleted.
constexpr int look_ms = 1000;
// Entries that are read at once.
constexpr std::uint32_t scan_entries = 1024;
// Interfaces with a program before any connection needs it there: a descriptor each.
constexpr std::size_t entrances_max = 128;

// Kinds of devices (rtnl_link_ops) on which flows were seen to work. "": hardware and loopback.
constexpr std::array<std::string_view, 8> known_kinds = {"",     "veth", "bridge", "macvlan",
                                                         "vlan", "bond", "tun",    "dummy"};

Result<UniqueFd> watch_routes() {
  auto fd =
      UniqueFd::adopt(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl groups{};
  groups.nl_family = AF_NETLINK;
  groups.nl_groups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&groups), sizeof groups) != 0) {
    return fail_sys("cannot watch the routes of this host", errno);
  }
  return fd;
}

// The contents of the messages do not matter, nor does the loss of some.
void empty(const UniqueFd& watch) {
  std::array<char, 16'384> news;
  while (::read(watch.get(), news.data(), news.size()) > 0 || errno == ENOBUFS) {
  }
}

std::optional<PacketLink> link_of(const Interface& interface) {
  if (std::ranges::find(known_kinds, interface.kind) == known_kinds.end()) return std::nullopt;
  if (interface.type == ARPHRD_ETHER || interface.type == ARPHRD_LOOPBACK) {
    return PacketLink::ethernet;
  }
  if (interface.type == ARPHRD_NONE) return PacketLink::raw_ip;
  return std::nullopt;
}

}  // namespace

PacketInbox::PacketInbox() : fd_(UniqueFd::adopt(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))) {}

void PacketInbox::put(const packet_event& event) {
  {
    const std::lock_guard lock(mutex_);
    events_.push_back(event);
  }
  wake();
}

void PacketInbox::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(fd_.get(), &one, sizeof one);
}

std::vector<packet_event> PacketInbox::take() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto taken = ::read(fd_.get(), &count, sizeof count);
  const std::lock_guard lock(mutex_);
  return std::exchange(events_, {});
}

Result<std::unique_ptr<PacketService>> PacketService::start(const FastPathConfig& config,
                                                            std::uint32_t flows, unsigned workers) {
  std::unique_ptr<PacketService> service(new PacketService());
  if (auto done = service->set_up(config, flows, workers); !done) {
    return std::unexpected(done.error());
  }
  return service;
}

Result<void> PacketService::set_up(const FastPathConfig& config, std::uint32_t flows,
                                   unsigned workers) {
  allowed_ = config.interfaces;
  leaves_flows_ = !config.drain_spliced;
  if (!config.pin.empty()) {
    if (auto opened = open_pins(config.pin, flows); !opened) return opened;
  }
  auto splice =
      PacketSplice::load({.flows = flows, .pin_directory = pins_ ? pins_->path() : std::string()});
  if (!splice) return std::unexpected(splice.error());
  splice_ = std::move(*splice);
  steps_ = splice_->steps();
  for (const PacketLink link : {PacketLink::ethernet, PacketLink::raw_ip}) {
    auto attacher = TcAttacher::open({.program_fd = splice_->program_fd(link),
                                      .pins = pins_ ? &*pins_ : nullptr,
                                      .pinned_map = splice_->flows_map_id()});
    if (!attacher) return std::unexpected(attacher.error());
    (link == PacketLink::ethernet ? ethernet_ : raw_ip_) = std::move(*attacher);
  }
  if (const std::size_t orphans = ethernet_->remove_orphans()) {
    steps_.push_back("removed " + counted(orphans, "filter") + " of a process that crashed");
  }
  auto lookup = RouteLookup::open();
  if (!lookup) return std::unexpected(lookup.error());
  interfaces_ = std::move(*lookup);
  auto watch = watch_routes();
  if (!watch) return std::unexpected(watch.error());
  watch_ = std::move(*watch);
  stop_fd_ = UniqueFd::adopt(::eventfd(0, EFD_CLOEXEC));
  if (!stop_fd_) return fail_sys("cannot open an eventfd", errno);
  for (unsigned i = 0; i < workers; ++i) inboxes_.push_back(std::make_unique<PacketInbox>());

  if (auto done = attach_as_before(); !done) return done;
  auto loopback = ethernet_->attach("lo", TcDirection::egress);
  if (!loopback) return std::unexpected(loopback.error());
  const std::uint32_t index = loopback->hook().interface;
  steps_.push_back(std::string("attached to lo (") + to_string(loopback->kind()) + ", egress)");
  hooks_[index].attachment = std::move(*loopback);
  self_test_ = run_packet_self_test(*splice_);
  if (!self_test_.passed()) return fail(self_test_.reason());
  left_.resize(workers);
  if (saved_) take_over(workers);

  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  return {};
}

// Pins stay for flows that are left; without any, nothing stays.
PacketService::~PacketService() {
  if (thread_.joinable()) {
    thread_.request_stop();
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(stop_fd_.get(), &one, sizeof one);
    thread_.join();
  }
  if (!saved_ || !saved_->empty()) return;
  for (auto& [interface, hook] : hooks_) {
    if (hook.attachment) hook.attachment->detach();
  }
  pins_->clear();
}

// ---- Flows that outlive a process -------------------------------------------------------------

Result<void> PacketService::open_pins(const std::string& directory, std::uint32_t flows) {
  auto pins = PinDirectory::open(directory, PACKET_LAYOUT);
  if (!pins) return std::unexpected(pins.error());
  pins_ = std::move(*pins);
  auto saved = SavedFlows::open(*pins_, flows);
  if (!saved) return std::unexpected(saved.error());
  saved_ = std::move(*saved);
  return {};
}

// Comes first: flows of the old programs continue through ours.
Result<void> PacketService::attach_as_before() {
  for (const auto& [name, direction] : ethernet_->left_behind()) {
    const std::uint32_t index = ::if_nametoindex(name.c_str());
    const auto about = interfaces_->interface(index);
    const auto link = about ? link_of(*about) : std::nullopt;
    if (!link) continue;  // The interface is gone, or is another one.
    TcAttacher& attacher = *link == PacketLink::ethernet ? *ethernet_ : *raw_ip_;
    auto attached = attacher.attach(name, direction);
    if (!attached) return std::unexpected(attached.error());
    steps_.push_back("took " + name + " over (" + to_string(attached->kind()) + ", " +
                     to_string(direction) + ")");
    hooks_[index].attachment = std::move(*attached);
  }
  return {};
}

void PacketService::take_over(unsigned workers) {
  std::vector<PacketEntry> entries;
  PacketSplice::Cursor cursor;
  while (const auto more = splice_->scan(cursor, scan_entries, entries)) {
    if (!*more) break;
  }
  std::unordered_set<std::uint64_t> names;
  for (const auto& [name, saved] : saved_->all()) {
    names.insert(name);
    // Another process may have had more workers.
    left_[worker_of_packet_flow(name) % workers].push_back({.name = name, .saved = saved});
  }
  const std::size_t flows = names.size();
  end_unsaved(entries, std::move(names));
  in_use_ = flows > 0;
  if (flows > 0) spdlog::info("packet: took over {}", counted(flows, "spliced connection"));
}

// Flows that the earlier process was about to hand over, or had just ended. Its sockets are gone:
// connections that were only watched have ended like any others, unless their numbers were being
// read (TCP_REPAIR) so that the sockets ended in silence. For those in the middle of a hand-over
// the numbers are lost.
void PacketService::end_unsaved(const std::vector<PacketEntry>& entries,
                                std::unordered_set<std::uint64_t> saved) {
  std::size_t reset = 0;
  for (const PacketEntry& entry : entries) {
    const std::uint64_t name = entry.flow.flow;
    if (saved.contains(name)) continue;
    if (entry.flow.state == PACKET_OBSERVED) {
      splice_->unwatch(entry.key, name);
      // An end that is still there acknowledges any segment, and the kernel, which has no socket,
      // resets that.
      std::ignore = splice_->sender().probe(entry.key, {}, entry.flow.seen_ifindex);
      continue;
    }
    const bool of_client = entry.flow.side == PACKET_CLIENT;
    const PacketPair pair{.client = of_client ? entry.key : entry.flow.peer,
                          .backend = of_client ? entry.flow.peer : entry.key};
    const bool lives = entry.flow.state == PACKET_TRANSITION || entry.flow.state == PACKET_SPLICED;
    if (lives && is_worker_of_packet_flow(name)) {
      // By then the second entry of the pair is forgotten.
      if (const auto killed = splice_->kill(pair, name); killed) ++reset;
      saved.insert(name);
    } else {
      splice_->forget(pair, name);
    }
  }
  if (reset > 0) {
    spdlog::info("packet: reset {} whose hand-over was not finished", counted(reset, "connection"));
  }
}

// ---- At run time ------------------------------------------------------------------------------

std::vector<std::string> PacketService::steps() const {
  const std::lock_guard lock(mutex_);
  return steps_;
}

packet_decline PacketService::hook(const PacketRoute& route) {
  const std::lock_guard lock(mutex_);
  in_use_ = true;
  auto found = hooks_.find(route.interface);
  if (found == hooks_.end()) {
    found = hooks_.emplace(route.interface, attach(route.interface)).first;
  }
  return found->second.verdict;
}

PacketService::Hook PacketService::attach(std::uint32_t interface) {
  const auto about = interfaces_->interface(interface);
  if (!about) return {.verdict = PACKET_DECLINE_ROUTE, .attachment = {}};
  if (!allows(*about)) return {.verdict = PACKET_DECLINE_ROUTE, .attachment = {}};
  const auto link = link_of(*about);
  if (!link) {
    spdlog::info(
        "packet: {} is of a kind ({}, type {}) that is not known to work; connections by "
        "it are relayed",
        about->name, about->kind, about->type);
    return {.verdict = PACKET_DECLINE_DEVICE, .attachment = {}};
  }
  TcAttacher& attacher = *link == PacketLink::ethernet ? *ethernet_ : *raw_ip_;
  auto attached = attacher.attach(about->name, TcDirection::ingress);
  if (!attached) {
    spdlog::warn("packet: {}; connections by it are relayed", attached.error().what);
    return {.verdict = PACKET_DECLINE_ROUTE, .attachment = {}};
  }
  spdlog::info("packet: attached to {} ({}, ingress)", about->name, to_string(attached->kind()));
  return {.verdict = PACKET_TAKEN, .attachment = std::move(*attached)};
}

bool PacketService::allows(const Interface& interface) const {
  return allowed_.empty() || std::ranges::find(allowed_, interface.name) != allowed_.end();
}

// When the routing of an end changes, its packets may come in by another interface, and no route of
// this host tells. Without a program there they would go to the kernel, which no longer has a
// socket for them and resets the connection. So there is one wherever packets may come in.
void PacketService::hook_entrances() {
  std::vector<Interface> entrances;
  {
    const std::lock_guard lock(mutex_);
    if (!in_use_ || std::exchange(entrances_hooked_, true)) return;
    auto found = interfaces_->entrances();
    if (found) entrances = std::move(*found);
  }
  std::erase_if(entrances, [&](const Interface& each) { return !allows(each) || !link_of(each); });
  entrances.resize(std::min(entrances.size(), entrances_max));
  for (const Interface& each : entrances) {
    const std::lock_guard lock(mutex_);  // Workers need not wait for all of them.
    if (hooks_.contains(each.index) || refused_.contains(each.index)) continue;
    const auto& hook = hooks_.emplace(each.index, attach(each.index)).first->second;
    if (!hook.attachment) refused_.insert(each.index);
  }
}

void PacketService::run(const std::stop_token& stop) {
  ::pthread_setname_np(::pthread_self(), "packet-events");
  std::uint64_t next_look = 0;
  while (!stop.stop_requested()) {
    std::array<pollfd, 3> waits{{{.fd = splice_->events_fd(), .events = POLLIN, .revents = 0},
                                 {.fd = watch_.get(), .events = POLLIN, .revents = 0},
                                 {.fd = stop_fd_.get(), .events = POLLIN, .revents = 0}}};
    ::poll(waits.data(), waits.size(), look_ms);
    if (waits[0].revents != 0) forward_events();
    if (waits[1].revents != 0) on_routes_changed();
    const std::uint64_t now = monotonic_ns();
    if (now < next_look) continue;
    next_look = now + std::uint64_t{look_ms} * 1'000'000;
    splice_->release_forgotten(now);
    hook_entrances();
    for (const auto& inbox : inboxes_) {
      if (inbox->wants_ticks()) inbox->wake();
    }
  }
}

void PacketService::forward_events() {
  events_.clear();
  splice_->take_events(events_);
  for (const packet_event& event : events_) {
    if (!is_worker_of_packet_flow(event.flow)) continue;  // The self-test's.
    inboxes_[worker_of_packet_flow(event.flow) % inboxes_.size()]->put(event);
  }
}

// Interfaces that are gone are forgotten, and declined ones get another chance.
void PacketService::on_routes_changed() {
  empty(watch_);
  const std::lock_guard lock(mutex_);
  std::erase_if(hooks_, [](const auto& each) {
    const Hook& hook = each.second;
    return !hook.attachment || !hook.attachment->is_current();
  });
  entrances_hooked_ = false;
  routes_version_.fetch_add(1, std::memory_order_release);
}

}  // namespace sni
