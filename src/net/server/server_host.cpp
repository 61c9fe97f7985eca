// What changes on the host under a running proxy: its addresses, its interfaces, /etc/hosts and
// /etc/resolv.conf. Each is taken over by itself; the configuration is not read again.

#include <spdlog/spdlog.h>

#include <map>
#include <memory>
#include <utility>

#include "core/session/access_line.h"
#include "net/health/prober.h"
#include "net/interface_index.h"
#include "net/server/own_addresses.h"
#include "net/server/server.h"

namespace sni {

namespace {

// How long to wait for further address events.
constexpr std::uint64_t addresses_settle_ms = 100;

}  // namespace

// A container that starts or ends causes several events, and a host may start many.
void Server::note_address_event() {
  rearm(addresses_);
  if (!addresses_due_ms_) addresses_due_ms_ = monotonic_ms() + addresses_settle_ms;
}

// An interface that is made again, as by a VPN, has another index. False: none has.
bool Server::follow_interfaces() {
  std::map<std::uint32_t, std::uint32_t> moved;
  for (const auto& [name, index] : snapshot_->config.interfaces) {
    const auto now = interface_index(name);
    if (now && *now != index) moved[index] = *now;
  }
  if (moved.empty()) return false;
  Config config = snapshot_->config;
  renumber_interfaces(config, moved);
  const auto next = make_snapshot(std::move(config), backends_, names_, &reaper_);
  const auto adopted = next ? adopt(*next) : std::unexpected(next.error());
  if (!adopted) {  // Its addresses may come later, with an event of their own.
    spdlog::warn("an interface has a new index: {}", adopted.error().what);
    return true;
  }
  bound_connections(**next);
  check_backends();
  spdlog::info("{} made again: its addresses are used under the new index",
               moved.size() == 1 ? "an interface was" : "interfaces were");
  return true;
}

// Another host's former address may now lead back into the proxy, or open this host to clients.
void Server::take_own_addresses() {
  addresses_due_ms_.reset();
  if (!draining_ && follow_interfaces()) return;
  auto addresses = own_addresses();
  if (draining_ || !addresses || *addresses == snapshot_->own) return;
  const auto adopted = adopt(with_own_addresses(*snapshot_, std::move(*addresses)));
  if (!adopted) return spdlog::error("{}", adopted.error().what);
  spdlog::info("the addresses of this host have changed");
}

// Workers with a snapshot already have its names.
void Server::take_names(std::shared_ptr<const SystemNames> names) {
  const bool news = names_ == nullptr || names_->resolv_conf != names->resolv_conf;
  names_ = std::move(names);
  if (!news || !snapshot_->config.dns.servers.empty()) return;
  for (const std::string& unused : names_->resolv_conf.unused) {
    spdlog::warn("/etc/resolv.conf: {}; it is not used", escape_for_log(unused));
  }
}

void Server::on_names_changed() {
  if (!names_watch_->take()) return;
  auto names = load_system_names();
  if (!names) return spdlog::warn("{}; names are resolved as before", names.error().what);
  if (*names == *names_) return;
  spdlog::info("/etc/hosts or /etc/resolv.conf has changed");
  const std::shared_ptr<const SystemNames> next = reaper_.own(*std::move(names));
  for (const auto& worker : workers_) worker->tell(NewNames{next});
  if (health_) health_->take_names(next, monotonic_ms());
  take_names(next);
}

}  // namespace sni
