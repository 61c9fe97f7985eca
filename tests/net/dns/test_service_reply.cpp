#include "net/dns/service_reply.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

using namespace sni;

namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::uint16_t srv = 33;
constexpr std::uint16_t cname = 5;

void put_u16(Bytes& out, std::uint32_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

Bytes encoded(const std::string& name) {
  Bytes out;
  std::size_t at = 0;
  while (at < name.size()) {
    const std::size_t dot = std::min(name.find('.', at), name.size());
    out.push_back(static_cast<std::uint8_t>(dot - at));
    out.insert(out.end(), name.begin() + static_cast<std::ptrdiff_t>(at),
               name.begin() + static_cast<std::ptrdiff_t>(dot));
    at = dot + 1;
  }
  out.push_back(0);
  return out;
}

Bytes target_data(std::uint16_t priority, std::uint16_t weight, std::uint16_t port,
                  const std::string& host) {
  Bytes data;
  for (const std::uint16_t value : {priority, weight, port}) put_u16(data, value);
  const Bytes name = encoded(host);
  data.insert(data.end(), name.begin(), name.end());
  return data;
}

// An answer to a question about "_x._tcp.example".
class Answer {
 public:
  Answer() {
    bytes_ = {0, 1, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0};
    const Bytes name = encoded("_x._tcp.example");
    bytes_.insert(bytes_.end(), name.begin(), name.end());
    put_u16(bytes_, srv);
    put_u16(bytes_, 1);
  }
  Answer& add(std::uint16_t type, std::uint32_t ttl_s, const Bytes& data) {
    put_u16(bytes_, 0xc00c);  // The name of the question.
    put_u16(bytes_, type);
    put_u16(bytes_, 1);
    put_u16(bytes_, ttl_s >> 16);
    put_u16(bytes_, ttl_s & 0xffff);
    put_u16(bytes_, static_cast<std::uint32_t>(data.size()));
    bytes_.insert(bytes_.end(), data.begin(), data.end());
    ++bytes_[7];
    return *this;
  }
  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

}  // namespace

TEST_CASE("the targets of an answer are read, with the least of its times") {
  const Answer answer = Answer()
                            .add(cname, 50, encoded("other.example"))
                            .add(srv, 60, target_data(2, 3, 8443, "b.example"))
                            .add(srv, 40, target_data(1, 0, 443, "a.example"))
                            .add(16, 1, {3, 'x', 'y', 'z'});
  const DnsReply reply = read_service_reply(answer.bytes());
  CHECK(reply.status == DnsReply::Status::found);
  CHECK(reply.ttl_ms == 40'000);
  REQUIRE(reply.services.size() == 2);
  CHECK(reply.services[0] ==
        ServiceTarget{.host = "a.example.", .port = 443, .priority = 1, .weight = 0});
  CHECK(reply.services[1] ==
        ServiceTarget{.host = "b.example.", .port = 8443, .priority = 2, .weight = 3});
}

TEST_CASE("a target that is the root says that there is no such service") {
  const Answer answer = Answer().add(srv, 60, target_data(0, 0, 0, ""));
  const DnsReply reply = read_service_reply(answer.bytes());
  CHECK(reply.status == DnsReply::Status::no_data);
  CHECK(reply.services.empty());
  CHECK(read_service_reply(Answer().bytes()).status == DnsReply::Status::no_data);
}

TEST_CASE("a TTL with its highest bit set is 0") {
  const Answer answer = Answer().add(srv, 0x80000001, target_data(0, 0, 1, "a.example"));
  CHECK(read_service_reply(answer.bytes()).ttl_ms == 0);
}

TEST_CASE("a message that ends anywhere before its end cannot be read") {
  const Answer answer = Answer()
                            .add(srv, 60, target_data(2, 3, 8443, "b.example"))
                            .add(srv, 40, target_data(1, 0, 443, "a.example"));
  const std::span<const std::uint8_t> whole(answer.bytes());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK(read_service_reply(part).status == DnsReply::Status::failed);
  }
  CHECK(read_service_reply(whole).status == DnsReply::Status::found);
}

TEST_CASE("data that is too long or too short for a target, and names that refer to themselves") {
  Bytes longer = target_data(1, 1, 1, "a.example");
  longer.push_back(0);
  CHECK(read_service_reply(Answer().add(srv, 1, longer).bytes()).status ==
        DnsReply::Status::failed);
  CHECK(read_service_reply(Answer().add(srv, 1, {0, 1, 0, 1, 0}).bytes()).status ==
        DnsReply::Status::failed);
  const auto here = static_cast<std::uint8_t>(Answer().bytes().size() + 12 + 6);
  CHECK(read_service_reply(Answer().add(srv, 1, {0, 1, 0, 1, 0, 1, 0xc0, here}).bytes()).status ==
        DnsReply::Status::failed);
}
