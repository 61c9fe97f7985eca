// Distributions are judged by chi-square with a chance of one in a thousand to fail by accident.
// The random numbers are fixed, so that a test that passes once always passes.

#include "core/route/balancer.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "core/limits.h"
#include "core/mix.h"

using namespace sni;

namespace {

constexpr std::size_t picks = 10'000;
constexpr std::array policies{Balance::round_robin, Balance::least_connections, Balance::random_two,
                              Balance::source_hash};

std::uint64_t all(std::size_t count) {
  return UINT64_MAX >> (64 - count);
}

// Backends with their own counts.
struct Backends {
  explicit Backends(std::vector<std::uint32_t> given_weights)
      : weights(std::move(given_weights)), connections(weights.size()) {}

  Balancer balancer(Balance policy) const {
    std::vector<Balancer::Share> shares;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      shares.push_back({.weight = weights[i], .seed = mix(i + 1), .connections = &connections[i]});
    }
    return Balancer(policy, std::move(shares), weights.size());
  }

  std::vector<std::uint32_t> weights;
  std::vector<std::atomic<std::uint32_t>> connections;
};

BalanceClient client(const Balancer& balancer, std::uint64_t number) {
  return {.random = mix(number), .source = mix(~number), .turn = balancer.take_turn()};
}

// How often each was picked; `stay`: no connection ends meanwhile.
std::vector<std::size_t> spread(Backends& backends, Balance policy, std::uint64_t left, bool stay) {
  const Balancer balancer = backends.balancer(policy);
  std::vector<std::size_t> picked(backends.weights.size());
  for (std::uint64_t i = 0; i < picks; ++i) {
    const std::size_t chosen = balancer.choose(left, client(balancer, i));
    ++picked[chosen];
    if (stay) ++backends.connections[chosen];
  }
  return picked;
}

// For the backends in `left`, against their weights.
double chi_square(const std::vector<std::size_t>& picked, const Backends& backends,
                  std::uint64_t left) {
  double weights = 0;
  for (std::size_t i = 0; i < picked.size(); ++i) {
    if ((left >> i & 1) != 0) weights += backends.weights[i];
  }
  double sum = 0;
  for (std::size_t i = 0; i < picked.size(); ++i) {
    if ((left >> i & 1) == 0) continue;
    const double expected = static_cast<double>(picks) * backends.weights[i] / weights;
    sum += std::pow(static_cast<double>(picked[i]) - expected, 2) / expected;
  }
  return sum;
}

// The 99.9th percentile for `degrees` of freedom (Wilson and Hilferty, 1931).
double chi_square_limit(std::size_t degrees) {
  const double variance = 2.0 / (9.0 * static_cast<double>(degrees));
  return static_cast<double>(degrees) * std::pow(1 - variance + 3.09 * std::sqrt(variance), 3);
}

}  // namespace

TEST_CASE("every policy spreads connections by the weights, whether they stay or go") {
  for (const Balance policy : policies) {
    CAPTURE(to_string(policy));
    for (const bool stay : {false, true}) {
      // If no connection stays, the fewest connections are an even choice, whatever the weights.
      if (!stay && policy == Balance::least_connections) continue;
      for (const auto& weights :
           {std::vector<std::uint32_t>(8, 1), std::vector<std::uint32_t>{1, 2, 3, 4},
            std::vector<std::uint32_t>{256, 1}}) {
        // Two picked by weight and then compared by weight favour heavy ones, so only equal weights
        // are tested.
        if (policy == Balance::random_two && weights.front() != weights.back()) continue;
        Backends backends(weights);
        const auto picked = spread(backends, policy, all(weights.size()), stay);
        CHECK(chi_square(picked, backends, all(weights.size())) <
              chi_square_limit(weights.size() - 1));
      }
    }
  }
}

TEST_CASE("random_two follows the weights where connections stay") {
  Backends backends({1, 2, 3, 4});
  const auto picked = spread(backends, Balance::random_two, all(4), /*stay=*/true);
  for (std::size_t i = 0; i < picked.size(); ++i) {
    const double share = static_cast<double>(picked[i]) / picks * 10;
    CHECK(share == doctest::Approx(backends.weights[i]).epsilon(0.1));
  }
}

TEST_CASE("where one is gone the others share its connections by their weights") {
  for (const Balance policy : {Balance::round_robin, Balance::source_hash}) {
    CAPTURE(to_string(policy));
    Backends backends({1, 3, 2, 2});
    const std::uint64_t left = all(4) & ~2U;
    const auto picked = spread(backends, policy, left, /*stay=*/false);
    CHECK(picked[1] == 0);
    CHECK(chi_square(picked, backends, left) < chi_square_limit(2));
  }
}

TEST_CASE("a connection that fails everywhere is offered every backend once") {
  for (const Balance policy : policies) {
    Backends backends(std::vector<std::uint32_t>(limits::route_backends_max, 2));
    const Balancer balancer = backends.balancer(policy);
    for (std::uint64_t i = 0; i < 100; ++i) {
      const BalanceClient asking = client(balancer, i);
      std::uint64_t left = UINT64_MAX;
      for (std::size_t tries = 0; tries < limits::route_backends_max; ++tries) {
        const std::size_t chosen = balancer.choose(left, asking);
        REQUIRE((left >> chosen & 1) == 1);
        left &= ~(std::uint64_t{1} << chosen);
      }
    }
  }
}

TEST_CASE("the schedule deals by weight and spreads each backend's turns") {
  const std::vector<std::uint32_t> weights{5, 1, 1};
  CHECK(smooth_schedule(weights) == std::vector<std::uint8_t>{0, 0, 1, 0, 2, 0, 0});
  // A common factor of all weights does not lengthen it.
  const std::vector<std::uint32_t> hundreds{200, 100};
  CHECK(smooth_schedule(hundreds).size() == 3);
}

TEST_CASE("least_connections takes the idle backend, and the heavier one of two that are idle") {
  Backends backends({1, 1, 1, 1});
  const Balancer balancer = backends.balancer(Balance::least_connections);
  for (std::size_t idle = 0; idle < 4; ++idle) {
    for (std::size_t i = 0; i < 4; ++i) backends.connections[i] = i == idle ? 0 : 1;
    for (std::uint64_t i = 0; i < 50; ++i) {
      CHECK(balancer.choose(all(4), client(balancer, i)) == idle);
    }
  }
  Backends uneven({1, 2});
  const Balancer heavier = uneven.balancer(Balance::least_connections);
  CHECK(heavier.choose(all(2), client(heavier, 1)) == 1);
}

TEST_CASE("source_hash: one backend's leaving moves its own clients, 1.25 / n of them at most") {
  for (const std::size_t count : {2U, 4U, 8U, 64U}) {
    Backends backends(std::vector<std::uint32_t>(count, 1));
    const Balancer balancer = backends.balancer(Balance::source_hash);
    for (std::size_t gone = 0; gone < std::min<std::size_t>(count, 8); ++gone) {
      std::size_t moved = 0;
      for (std::uint64_t i = 0; i < picks; ++i) {
        const BalanceClient asking{
            .source = source_key(IpAddress::v4(10, static_cast<std::uint8_t>(i >> 16),
                                               static_cast<std::uint8_t>(i >> 8),
                                               static_cast<std::uint8_t>(i)))};
        const std::size_t before = balancer.choose(all(count), asking);
        const std::size_t after = balancer.choose(all(count) & ~(std::uint64_t{1} << gone), asking);
        if (before != gone) CHECK(before == after);
        if (before != after) ++moved;
      }
      CHECK(static_cast<double>(moved) <= 1.25 * picks / static_cast<double>(count));
    }
  }
}

TEST_CASE("a source is its address, and for IPv6 the /64 that its owner moves in") {
  const auto key = [](const char* text) { return source_key(*parse_ip(text)); };
  CHECK(key("192.0.2.1") != key("192.0.2.2"));
  CHECK(key("2001:db8::1") == key("2001:db8::ffff:1"));
  CHECK(key("2001:db8::1") != key("2001:db8:0:1::1"));
}

TEST_CASE("the addresses of a name are chosen by the same policy") {
  std::vector<IpAddress> addresses;
  for (std::uint8_t i = 0; i < 8; ++i) addresses.push_back(IpAddress::v4(10, 0, 0, i));
  AddressLoads loads;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (i != 5) loads.enter(addresses[i]);
  }
  std::set<std::size_t> by_source;
  std::array<std::size_t, 8> by_two{};
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const BalanceClient asking{.random = mix(i), .source = mix(~i)};
    CHECK(choose_address(Balance::least_connections, addresses, asking, &loads) == 5);
    ++by_two[choose_address(Balance::random_two, addresses, asking, &loads)];
    const std::size_t hashed = choose_address(Balance::source_hash, addresses, asking, nullptr);
    CHECK(hashed == choose_address(Balance::source_hash, addresses, asking, nullptr));
    by_source.insert(hashed);
  }
  CHECK(by_source.size() == addresses.size());
  // It is in a quarter of the pairs of eight, and the better one of each.
  CHECK(by_two[5] > 180);
  CHECK(by_two[5] < 320);
}
