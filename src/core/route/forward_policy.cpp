#include "core/route/forward_policy.h"

#include <algorithm>

namespace sni {
namespace {

const IpAddress any_v6{};
const IpAddress any_v4 = IpAddress::v4(0, 0, 0, 0);

// A connect() to an unspecified address goes to this host, and so does all of 127.0.0.0/8, whatever
// addresses the interfaces have.
bool is_own(const IpAddress& address, const ForwardPolicy& policy) {
  const AddressScope scope = address_scope(address);
  const auto within = [&](const IpPrefix& prefix) { return prefix.contains(address); };
  return scope == AddressScope::loopback || scope == AddressScope::unspecified ||
         std::ranges::find(policy.own_addresses, address) != policy.own_addresses.end() ||
         std::ranges::any_of(policy.own_prefixes, within);
}

// Whether `listener` would accept a connection to `target`, an address of this host.
bool accepts(const ListenerEndpoint& listener, const Endpoint& target) {
  if (listener.endpoint.port != target.port) return false;
  const IpAddress& bound = listener.endpoint.ip;
  if (bound == any_v4 || bound == any_v6) return takes_family_of(listener, target.ip);
  // The kernel replaces an unspecified target by a loopback address or one of the interface.
  return bound == target.ip || address_scope(target.ip) == AddressScope::unspecified;
}

}  // namespace

bool takes_family_of(const ListenerEndpoint& listener, const IpAddress& address) {
  const IpAddress& bound = listener.endpoint.ip;
  if (!address.is_v4()) return !bound.is_v4();
  return bound.is_v4() || (bound == any_v6 && !listener.v6only);
}

ForwardVerdict ForwardPolicy::judge_configured(const Endpoint& target) const {
  const bool loops = std::ranges::any_of(listeners, [&](const ListenerEndpoint& listener) {
    return accepts(listener, target) &&
           (listener.endpoint.ip == target.ip || is_own(target.ip, *this));
  });
  return loops ? ForwardVerdict::own_listener : ForwardVerdict::allowed;
}

ForwardVerdict ForwardPolicy::judge_requested(const Endpoint& target, bool allow_private) const {
  const ForwardVerdict loop = judge_configured(target);
  if (loop != ForwardVerdict::allowed || allow_private) return loop;
  if (address_scope(target.ip) != AddressScope::global) return ForwardVerdict::not_global;
  if (is_own(target.ip, *this)) return ForwardVerdict::own_address;
  return ForwardVerdict::allowed;
}

}  // namespace sni
