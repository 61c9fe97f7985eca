#include "bench/stats.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace sni::bench {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();
constexpr unsigned sub_bits = 7;  // 128 buckets per power of two.
constexpr std::uint64_t sub_count = 1u << sub_bits;

}  // namespace

double median(std::span<const double> samples) {
  if (samples.empty()) return none;
  std::vector<double> sorted(samples.begin(), samples.end());
  std::ranges::sort(sorted);
  const std::size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

double geometric_mean(std::span<const double> values) {
  if (values.size() == 1) return values.front();
  double logarithms = 0;
  for (const double value : values) logarithms += value > 0 ? std::log(value) : none;
  return values.empty() ? none : std::exp(logarithms / static_cast<double>(values.size()));
}

double spread(std::span<const double> samples) {
  const double center = median(samples);
  if (samples.empty() || center == 0) return none;
  const auto [least, greatest] = std::ranges::minmax(samples);
  return (greatest - least) / 2 / std::abs(center);
}

std::size_t Histogram::bucket_of(std::uint64_t value) {
  if (value < sub_count) return value;  // One bucket per value.
  const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - sub_bits - 1;
  return shift * sub_count + (value >> shift);
}

double Histogram::middle_of(std::size_t bucket) {
  if (bucket < 2 * sub_count) return static_cast<double>(bucket);
  const std::size_t shift = bucket / sub_count - 1;
  const double low =
      std::ldexp(static_cast<double>(bucket - shift * sub_count), static_cast<int>(shift));
  return low + std::ldexp(0.5, static_cast<int>(shift));
}

double Histogram::quantile(double share) const {
  if (total_ == 0) return none;
  const auto rank = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(total_)));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen >= std::max<std::uint64_t>(rank, 1)) return middle_of(bucket);
  }
  return none;
}

}  // namespace sni::bench
