#include "bench/pattern.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <random>
#include <vector>

#include "support/tcp_peer.h"

using namespace sni::bench;

namespace {

// `length` bytes of the stream, from its beginning.
std::vector<std::byte> stream_bytes(std::uint64_t stream, std::size_t length) {
  std::vector<std::byte> bytes;
  PatternCursor cursor(stream);
  while (bytes.size() < length) {
    const auto part = cursor.peek(std::min(length - bytes.size(), chunk_max));
    bytes.insert(bytes.end(), part.begin(), part.end());
    cursor.advance(part.size());
  }
  return bytes;
}

constexpr std::size_t sample = 3 * pattern_period + 1234;

// What a reader that receives the parts, each at once, says of them.
bool reads_intact(PatternReader::Look look, std::span<const std::vector<std::byte>> parts) {
  sni::test::TcpListener listener;
  auto sender = sni::test::TcpPeer::connect(listener.endpoint());
  auto receiver = listener.accept();
  PatternReader reader(7);
  std::vector<std::byte> scratch(chunk_max);
  for (const auto& part : parts) {
    REQUIRE(::send(sender.fd(), part.data(), part.size(), 0) == static_cast<ssize_t>(part.size()));
    sni::test::await(receiver.fd(), POLLIN, "the part does not arrive");
    REQUIRE(reader.receive(receiver.fd(), scratch, look) == static_cast<ssize_t>(part.size()));
  }
  return reader.intact();
}

// A stream in equal parts.
std::vector<std::vector<std::byte>> parts_of_stream(std::size_t count) {
  constexpr std::size_t length = 1000;
  const auto bytes = stream_bytes(7, count * length);
  std::vector<std::vector<std::byte>> parts;
  for (std::size_t at = 0; at < bytes.size(); at += length) {
    parts.emplace_back(bytes.data() + at, bytes.data() + at + length);
  }
  return parts;
}

}  // namespace

TEST_CASE("a stream passes the check however it is cut") {
  const auto bytes = stream_bytes(3, sample);
  std::mt19937_64 random(1);
  PatternCursor cursor(3);
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t length = std::min<std::size_t>(1 + random() % 9000, bytes.size() - at);
    CHECK(cursor.check(std::span(bytes).subspan(at, length)));
    at += length;
  }
}

TEST_CASE("a stream longer than a chunk can be checked at once") {
  CHECK(PatternCursor(1).check(stream_bytes(1, 2 * chunk_max + 17)));
}

TEST_CASE("one flipped bit anywhere is noticed") {
  for (const std::size_t at : {std::size_t{0}, pattern_period, sample - 1}) {
    auto bytes = stream_bytes(5, sample);
    bytes[at] ^= std::byte{1};
    CHECK_FALSE(PatternCursor(5).check(bytes));
  }
}

TEST_CASE("a lost, duplicated or swapped chunk is detected, whatever size proxies work in") {
  for (const std::size_t size : {64, 1448, 4096, 16'384, 65'536}) {
    const auto good = stream_bytes(0, sample);
    const auto at = static_cast<std::ptrdiff_t>(size);
    auto lost = good;
    lost.erase(lost.begin() + at, lost.begin() + 2 * at);
    CHECK_FALSE(PatternCursor(0).check(lost));
    auto doubled = good;
    doubled.insert(doubled.begin() + at, good.begin(), good.begin() + at);
    CHECK_FALSE(PatternCursor(0).check(doubled));
    auto exchanged = good;
    std::swap_ranges(exchanged.begin(), exchanged.begin() + at, exchanged.begin() + at);
    CHECK_FALSE(PatternCursor(0).check(exchanged));
  }
}

TEST_CASE("the bytes of one stream are not those of another") {
  CHECK_FALSE(PatternCursor(2).check(stream_bytes(1, 64)));
}

TEST_CASE("a sampling reader passes a correct stream and counts what it discards") {
  for (const auto look : {PatternReader::Look::samples, PatternReader::Look::all}) {
    CHECK(reads_intact(look, parts_of_stream(3 * sample_every)));
  }
}

TEST_CASE("calls that bring no bytes are no samples") {
  sni::test::TcpListener listener;
  auto sender = sni::test::TcpPeer::connect(listener.endpoint());
  auto receiver = listener.accept();
  fcntl(receiver.fd(), F_SETFL, O_NONBLOCK);
  PatternReader reader(7);
  std::vector<std::byte> scratch(chunk_max);
  const std::vector<std::byte> wrong(1000);
  for (unsigned i = 0; i < sample_every; ++i) {
    CHECK(reader.receive(receiver.fd(), scratch, PatternReader::Look::samples) == -1);
    REQUIRE(::send(sender.fd(), wrong.data(), wrong.size(), 0) == 1000);
    sni::test::await(receiver.fd(), POLLIN, "the part does not arrive");
    CHECK(reader.receive(receiver.fd(), scratch, PatternReader::Look::samples) == 1000);
  }
  CHECK_FALSE(reader.intact());
}

TEST_CASE("a byte lost or duplicated between samples shows in the next one") {
  auto lost = parts_of_stream(sample_every + 1);
  lost[3].pop_back();
  CHECK_FALSE(reads_intact(PatternReader::Look::samples, lost));
  auto doubled = parts_of_stream(sample_every + 1);
  doubled[3].push_back(doubled[3].back());
  CHECK_FALSE(reads_intact(PatternReader::Look::samples, doubled));
}

TEST_CASE("a reader that looks at all sees one flipped bit anywhere, and does not forget it") {
  for (const std::size_t at : {0u, 3u, sample_every}) {
    auto parts = parts_of_stream(sample_every + 1);
    parts[at][500] ^= std::byte{1};
    CHECK_FALSE(reads_intact(PatternReader::Look::all, parts));
  }
}
