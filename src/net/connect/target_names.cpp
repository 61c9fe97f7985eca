// The list of targets, part on names: which one to resolve next, and the results.

#include <string_view>
#include <vector>

#include "core/mix.h"
#include "net/connect/target.h"

namespace sni {
namespace {

AttemptError resolution_error(Resolution::Status status) {
  switch (status) {
    case Resolution::Status::ok:
    case Resolution::Status::not_found:
      return AttemptError::name_unknown;
    case Resolution::Status::no_address:
      return AttemptError::no_address;
    case Resolution::Status::unanswered:
      return AttemptError::resolver_silent;
    case Resolution::Status::failed:
      break;
    case Resolution::Status::overloaded:
      return AttemptError::resolver_overloaded;
  }
  return AttemptError::resolver_failed;
}

}  // namespace

void TargetList::forget_addresses() {
  resolution_ = {};
  address_ = 0;
  services_.reset();
  service_order_.clear();
  next_service_ = 0;
}

std::string_view TargetList::name() const {
  return host_of(dialled(target_).backend);
}

// The backend's host name for this client.
std::string_view TargetList::host_of(const Backend& backend) const {
  switch (backend.kind) {
    case Backend::Kind::requested_name:
      return requested_name_;
    case Backend::Kind::captured_name:
      return captured_name_;
    case Backend::Kind::service:
      return next_service_ == 0 ? std::string_view(backend.host) : service().host;
    default:
      return backend.host;
  }
}

std::uint16_t TargetList::port_of(const Backend& backend) const {
  return backend.kind == Backend::Kind::service ? service().port : backend.port;
}

// The random number differs between connections; with source_hash it is the same for the same
// source.
void TargetList::order_services() {
  const bool by_source =
      route_->balancer != nullptr && route_->balancer->policy() == Balance::source_hash;
  const std::uint64_t seed = route_->backends[target_.backend]->seed;
  service_order_ = target_order(*services_, mix(seed ^ (by_source ? client_.source : turn_)));
}

void TargetList::resolved(const Resolution& resolution) {
  resolution_ = resolution;
  address_ = 0;
  if (resolution.services != nullptr) {
    services_ = resolution.services;
    return order_services();
  }
  if (resolution.count() == 0) return failed(target_, resolution_error(resolution.status));
  if (route_->balancer) choose_address();
}

// Families keep their positions (RFC 8305), so the choice is among the leading family.
void TargetList::choose_address() {
  const Balance policy = route_->balancer->policy();
  if (policy == Balance::round_robin) return;  // turn_ decides.
  std::vector<IpAddress> leading;
  for (const IpAddress& each : resolution_.list()) {
    if (each.is_v4() == resolution_.list().front().is_v4()) leading.push_back(each);
  }
  const AddressLoads* const loads =
      route_->backends[target_.backend]->addresses.load(std::memory_order_acquire);
  turn_ = static_cast<std::uint32_t>(sni::choose_address(policy, leading, client_, loads));
}

void TargetList::not_resolved() {
  failed(target_, AttemptError::resolver_silent);
}

SocksTarget TargetList::socks_target(const Target& target) const {
  const Backend& backend = backend_of(target);
  std::string_view name = host_of(backend);
  if (name.ends_with('.')) name.remove_suffix(1);  // SOCKS servers do not complete names.
  return {.name = name, .ip = backend.endpoint.ip, .port = backend.port};
}

}  // namespace sni
