#pragma once

// Median, mean and spread of a few samples, and a histogram for many latencies.

#include <cstdint>
#include <span>
#include <vector>

namespace sni::bench {

// NaN for no samples.
double median(std::span<const double> samples);

// NaN for no values, or if one of several is not positive. A single value is returned as it is.
double geometric_mean(std::span<const double> values);

// Half of the distance from the least to the greatest sample, as a share of the median: the "±4 %"
// of the tables. NaN for no samples, or if the median is 0.
double spread(std::span<const double> samples);

// Counts by value with a relative error below 1 %: 128 buckets for each power of two (the layout of
// HdrHistogram). Fixed memory, no allocation per value.
class Histogram {
 public:
  Histogram() : counts_(bucket_of(UINT64_MAX) + 1) {}

  void add(std::uint64_t value) {
    ++counts_[bucket_of(value)];
    ++total_;
  }
  std::uint64_t total() const { return total_; }
  // The smallest recorded value that `share` (0..1) of all values do not exceed, to the precision
  // of its bucket; NaN for an empty histogram.
  double quantile(double share) const;

 private:
  static std::size_t bucket_of(std::uint64_t value);
  static double middle_of(std::size_t bucket);

  std::vector<std::uint64_t> counts_;
  std::uint64_t total_ = 0;
};

}  // namespace sni::bench
