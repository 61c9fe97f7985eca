#include "core/route/balancer.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/limits.h"
#include "core/mix.h"

namespace sni {
namespace {

std::uint64_t bit(std::size_t index) {
  return std::uint64_t{1} << index;
}

// Calls visit(index) for each bit that is set.
template <typename Visit>
void for_each(std::uint64_t left, Visit&& visit) {
  for (; left != 0; left &= left - 1) visit(static_cast<std::size_t>(std::countr_zero(left)));
}

// A number below `bound`, uniform except for a bias of 2^-32.
std::uint64_t below(std::uint64_t bound, std::uint64_t random) {
  return (random >> 32) * bound >> 32;
}

// The index of the bit that is number `rank` among those set.
std::size_t nth(std::uint64_t left, std::uint64_t rank) {
  for (; rank > 0; --rank) left &= left - 1;
  return static_cast<std::size_t>(std::countr_zero(left));
}

// The score of a backend of this weight for a source: a backend of weight w has the greatest score
// with a probability of w in the sum of all weights.
double score(std::uint64_t seed, std::uint64_t source, std::uint32_t weight) {
  const double uniform = (static_cast<double>(mix(seed ^ source) >> 11) + 0.5) * 0x1p-53;
  return -static_cast<double>(weight) / std::log(uniform);
}

}  // namespace

const char* to_string(Balance policy) {
  switch (policy) {
    case Balance::first:
      break;
    case Balance::round_robin:
      return "round_robin";
    case Balance::least_connections:
      return "least_connections";
    case Balance::random_two:
      return "random_two";
    case Balance::source_hash:
      return "source_hash";
  }
  return "first";
}

std::uint64_t source_key(const IpAddress& source) {
  constexpr unsigned client_prefix = 64;
  return mix((source.is_v4() ? source : source.masked(client_prefix)).bytes);
}

std::vector<std::uint8_t> smooth_schedule(std::span<const std::uint32_t> weights) {
  std::uint32_t divisor = 0;
  for (const std::uint32_t weight : weights) divisor = std::gcd(divisor, weight);
  std::int64_t sum = 0;
  for (const std::uint32_t weight : weights) sum += weight / divisor;
  std::vector<std::int64_t> credit(weights.size());
  std::vector<std::uint8_t> schedule(static_cast<std::size_t>(sum));
  for (std::uint8_t& turn : schedule) {
    for (std::size_t i = 0; i < weights.size(); ++i) credit[i] += weights[i] / divisor;
    const auto richest = std::ranges::max_element(credit);
    *richest -= sum;
    turn = static_cast<std::uint8_t>(richest - credit.begin());
  }
  return schedule;
}

Balancer::Balancer(Balance policy, std::vector<Share> shares, std::size_t primaries)
    : policy_(policy), shares_(std::move(shares)) {
  assert(primaries > 0 && shares_.size() <= limits::route_backends_max);
  if (policy_ != Balance::round_robin) return;
  std::vector<std::uint32_t> weights;
  for (const Share& share : std::span(shares_).first(primaries)) weights.push_back(share.weight);
  schedule_ = smooth_schedule(weights);
}

std::size_t Balancer::choose(std::uint64_t left, const BalanceClient& client) const {
  assert(left != 0);
  // `left` differs between tries, and so do the random numbers of one connection.
  const std::uint64_t random = mix(client.random ^ left);
  switch (policy_) {
    case Balance::first:
      break;
    case Balance::round_robin: {
      const std::size_t turn = schedule_[client.turn % schedule_.size()];
      return (left & bit(turn)) != 0 ? turn : by_weight(left, random);
    }
    case Balance::least_connections:
      return least(left, random);
    case Balance::random_two:
      return less_of_two(left, random);
    case Balance::source_hash:
      return by_source(left, client.source);
  }
  return static_cast<std::size_t>(std::countr_zero(left));
}

std::size_t Balancer::by_weight(std::uint64_t left, std::uint64_t random) const {
  std::uint64_t sum = 0;
  for_each(left, [&](std::size_t i) { sum += shares_[i].weight; });
  std::uint64_t place = below(sum, random);
  auto chosen = static_cast<std::size_t>(std::countr_zero(left));
  for (; place >= shares_[chosen].weight; chosen = nth(left, 0)) {
    place -= shares_[chosen].weight;
    left &= left - 1;
  }
  return chosen;
}

// Compares connections per weight, including the new one, so that an idle backend of twice the
// weight comes first.
bool Balancer::has_less(std::size_t one, std::size_t other) const {
  const auto load = [this](std::size_t i) {
    return std::uint64_t{shares_[i].connections->load(std::memory_order_relaxed)} + 1;
  };
  return load(one) * shares_[other].weight < load(other) * shares_[one].weight;
}

std::size_t Balancer::least(std::uint64_t left, std::uint64_t random) const {
  const auto count = static_cast<std::uint64_t>(std::popcount(left));
  const std::uint64_t start = below(count, random);
  std::size_t chosen = nth(left, start);
  // One round from the start: backends before it come last.
  const std::uint64_t from = left & ~(bit(chosen) - 1);
  const auto consider = [&](std::size_t i) {
    if (has_less(i, chosen)) chosen = i;
  };
  for_each(from, consider);
  for_each(left & ~from, consider);
  return chosen;
}

std::size_t Balancer::less_of_two(std::uint64_t left, std::uint64_t random) const {
  const std::size_t first = by_weight(left, random);
  const std::uint64_t others = left & ~bit(first);
  if (others == 0) return first;
  const std::size_t second = by_weight(others, mix(random));
  return has_less(second, first) ? second : first;
}

std::size_t Balancer::by_source(std::uint64_t left, std::uint64_t source) const {
  std::size_t chosen = 0;
  double best = -1;
  for_each(left, [&](std::size_t i) {
    const double drawn = score(shares_[i].seed, source, shares_[i].weight);
    if (drawn <= best) return;
    best = drawn;
    chosen = i;
  });
  return chosen;
}

std::size_t choose_address(Balance policy, std::span<const IpAddress> addresses,
                           const BalanceClient& client, const AddressLoads* loads) {
  assert(!addresses.empty());
  const auto count = [&](std::size_t i) {
    return loads == nullptr ? 0 : loads->count(addresses[i]);
  };
  const std::size_t size = addresses.size();
  const std::uint64_t random = mix(client.random + size);
  switch (policy) {
    case Balance::first:
    case Balance::round_robin:
      return 0;
    case Balance::least_connections: {
      std::size_t chosen = below(size, random);
      for (std::size_t i = 0, at = chosen; i < size; ++i, at = (at + 1) % size) {
        if (count(at) < count(chosen)) chosen = at;
      }
      return chosen;
    }
    case Balance::random_two: {
      const std::size_t one = below(size, random);
      if (size == 1) return one;
      const std::size_t other = (one + 1 + below(size - 1, mix(random))) % size;
      return count(other) < count(one) ? other : one;
    }
    case Balance::source_hash:
      break;
  }
  const auto drawn = [&](const IpAddress& address) {
    return mix(mix(address.bytes) ^ client.source);
  };
  return static_cast<std::size_t>(std::ranges::max_element(addresses, {}, drawn) -
                                  addresses.begin());
}

}  // namespace sni
