#include "core/dns/service.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/dns/dns_name.h"
#include "core/limits.h"
#include "core/mix.h"

namespace sni {

std::vector<ServiceTarget> usable_targets(std::vector<ServiceTarget> targets) {
  std::erase_if(targets, [](ServiceTarget& target) {
    if (!target.host.ends_with('.')) target.host += '.';
    const auto name = parse_dns_name(target.host);
    if (name) target.host = name->text();
    return !name || target.port == 0;
  });
  std::ranges::stable_sort(targets, {}, &ServiceTarget::priority);
  if (targets.size() > limits::service_targets_max) targets.resize(limits::service_targets_max);
  return targets;
}

// Each position goes to one of the remaining targets, chosen by weight. A weight of 0 counts as a
// fraction of one, so that such a target is chosen rarely, but not never.
std::vector<std::uint8_t> target_order(std::span<const ServiceTarget> targets,
                                       std::uint64_t random) {
  std::vector<std::uint8_t> order(targets.size());
  std::iota(order.begin(), order.end(), std::uint8_t{0});
  const auto priority = [&](std::uint8_t i) { return targets[i].priority; };
  std::ranges::stable_sort(order, {}, priority);
  constexpr std::uint64_t scale = 256;
  const auto share = [&](std::uint8_t i) {
    return std::max<std::uint64_t>(targets[i].weight * scale, 1);
  };
  for (auto next = order.begin(); next != order.end(); ++next) {
    const auto end = std::find_if(next, order.end(),
                                  [&](std::uint8_t i) { return priority(i) != priority(*next); });
    std::uint64_t sum = 0;
    for (auto each = next; each != end; ++each) sum += share(*each);
    random = mix(random + 1);
    std::uint64_t place = (random >> 32) * sum >> 32;
    auto chosen = next;
    for (; place >= share(*chosen); ++chosen) place -= share(*chosen);
    std::iter_swap(next, chosen);
  }
  return order;
}

}  // namespace sni
