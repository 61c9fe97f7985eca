#pragma once

// A DNS server for tests on 127.0.0.1: a thread that answers UDP and TCP on one ephemeral port as
// configured, and counts questions. Unknown names do not exist (NXDOMAIN). It answers one question
// at a time and parses only what resolvers send: one question, no compression.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/address/address.h"
#include "core/unique_fd.h"

namespace sni::test {

enum class DnsType : std::uint16_t { a = 1, cname = 5, aaaa = 28, srv = 33 };

struct DnsAnswer {
  enum class Manner : std::uint8_t {
    proper,
    silent,
    garbage,    // A correct header, then noise.
    wrong_id,   // A forged answer that does not match the question.
    truncated,  // TC over UDP, a complete answer over TCP.
  };
  struct Record {
    DnsType type;
    std::string data;  // An address, or a name for CNAME and SRV.
    std::uint32_t ttl_s = 300;
    std::string owner = {};  // Empty: the name that was asked for.
    std::uint16_t port = 0;  // SRV, which all have one priority and weight.
  };
  static constexpr std::uint8_t no_error = 0;
  static constexpr std::uint8_t server_failure = 2;
  static constexpr std::uint8_t no_such_name = 3;
  static constexpr std::uint8_t refused = 5;

  std::vector<Record> records = {};
  std::uint8_t rcode = no_error;
  Manner manner = Manner::proper;
};

class DnsServer {
 public:
  DnsServer() {
    listen();
    thread_ = std::thread([this] { run(); });
  }
  ~DnsServer() {
    const std::uint64_t one = 1;
    if (::write(stop_.get(), &one, sizeof one) != sizeof one) std::abort();
    thread_.join();
  }
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  Endpoint endpoint() const { return {.ip = IpAddress::v4(127, 0, 0, 1), .port = port_}; }

  // Names in lower case, without a trailing dot.
  void set(const std::string& name, DnsType type, DnsAnswer answer) {
    const std::lock_guard lock(mutex_);
    answers_[{name, type}] = std::move(answer);
  }
  // Both A and AAAA.
  void set(const std::string& name, const DnsAnswer& answer) {
    set(name, DnsType::a, answer);
    set(name, DnsType::aaaa, answer);
  }
  // Addresses of both families; a family without any gets an empty answer (no data).
  void set_addresses(const std::string& name, const std::vector<std::string>& addresses,
                     std::uint32_t ttl_s = 300) {
    DnsAnswer v4;
    DnsAnswer v6;
    for (const std::string& address : addresses) {
      const bool is_v6 = address.contains(':');
      (is_v6 ? v6 : v4)
          .records.push_back(
              {.type = is_v6 ? DnsType::aaaa : DnsType::a, .data = address, .ttl_s = ttl_s});
    }
    set(name, DnsType::a, v4);
    set(name, DnsType::aaaa, v6);
  }

  std::size_t asked(const std::string& name, DnsType type) {
    const std::lock_guard lock(mutex_);
    const auto found = asked_.find({name, type});
    return found == asked_.end() ? 0 : found->second;
  }
  std::size_t asked_in_all() {
    const std::lock_guard lock(mutex_);
    std::size_t sum = 0;
    for (const auto& [question, count] : asked_) sum += count;
    return sum;
  }
  // Over UDP, in the order of the questions.
  std::vector<std::uint16_t> source_ports() {
    const std::lock_guard lock(mutex_);
    return source_ports_;
  }
  std::size_t asked_over_tcp() {
    const std::lock_guard lock(mutex_);
    return tcp_questions_;
  }

 private:
  using Bytes = std::vector<std::uint8_t>;
  using Question = std::pair<std::string, DnsType>;
  static constexpr std::size_t header_length = 12;
  static constexpr std::size_t message_max = 4096;

  static void require(bool condition, const char* what) {
    if (!condition) throw std::runtime_error(std::string("DnsServer: ") + what);
  }

  // One port for both: another process may hold the TCP port that UDP was given, hence the tries.
  void listen() {
    stop_ = UniqueFd::adopt(::eventfd(0, EFD_CLOEXEC));
    for (int attempt = 0; attempt < 50; ++attempt) {
      udp_ = UniqueFd::adopt(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      tcp_ = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_storage address;
      socklen_t length = to_sockaddr({.ip = IpAddress::v4(127, 0, 0, 1)}, address);
      auto* generic = reinterpret_cast<sockaddr*>(&address);
      require(::bind(udp_.get(), generic, length) == 0, "bind UDP");
      require(::getsockname(udp_.get(), generic, &length) == 0, "getsockname");
      if (::bind(tcp_.get(), generic, length) != 0) continue;
      if (::listen(tcp_.get(), 16) != 0) continue;
      port_ = from_sockaddr(address)->port;
      return;
    }
    require(false, "no port free for both UDP and TCP");
  }

  void run() {
    while (true) {
      std::array<pollfd, 3> ready{pollfd{stop_.get(), POLLIN, 0}, pollfd{udp_.get(), POLLIN, 0},
                                  pollfd{tcp_.get(), POLLIN, 0}};
      if (::poll(ready.data(), ready.size(), -1) < 0) continue;
      if (ready[0].revents != 0) return;
      if (ready[1].revents != 0) serve_udp();
      if (ready[2].revents != 0) serve_tcp();
    }
  }

  void serve_udp() {
    std::array<std::uint8_t, message_max> query;
    sockaddr_storage client;
    socklen_t client_length = sizeof client;
    auto* generic = reinterpret_cast<sockaddr*>(&client);
    const ssize_t length =
        ::recvfrom(udp_.get(), query.data(), query.size(), 0, generic, &client_length);
    if (length < 0) return;
    {
      const std::lock_guard lock(mutex_);
      source_ports_.push_back(from_sockaddr(client)->port);
    }
    const Bytes reply = answer({query.data(), static_cast<std::size_t>(length)}, false);
    if (!reply.empty()) {
      ::sendto(udp_.get(), reply.data(), reply.size(), 0, generic, client_length);
    }
  }

  // One question per connection, within two seconds.
  void serve_tcp() {
    const UniqueFd client = UniqueFd::adopt(::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client) return;
    const timeval receive_timeout{.tv_sec = 2, .tv_usec = 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &receive_timeout, sizeof receive_timeout);
    std::array<std::uint8_t, 2> prefix;
    if (::recv(client.get(), prefix.data(), 2, MSG_WAITALL) != 2) return;
    Bytes query((std::size_t{prefix[0]} << 8) | prefix[1]);
    const ssize_t length = ::recv(client.get(), query.data(), query.size(), MSG_WAITALL);
    if (length != static_cast<ssize_t>(query.size())) return;
    Bytes reply = answer(query, true);
    if (reply.empty()) return;
    const std::size_t size = reply.size();
    reply.insert(reply.begin(),
                 {static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)});
    ::send(client.get(), reply.data(), reply.size(), MSG_NOSIGNAL);
  }

  // The reply to a query; empty: none.
  Bytes answer(std::span<const std::uint8_t> query, bool tcp) {
    std::size_t end = header_length;
    Question question;
    if (!read_question(query, question, end)) return {};
    DnsAnswer answer{.rcode = DnsAnswer::no_such_name};
    {
      const std::lock_guard lock(mutex_);
      ++asked_[question];
      tcp_questions_ += tcp;
      if (const auto found = answers_.find(question); found != answers_.end()) {
        answer = found->second;
      }
    }
    using Manner = DnsAnswer::Manner;
    if (answer.manner == Manner::silent) return {};
    Bytes reply(query.begin(), query.begin() + static_cast<std::ptrdiff_t>(end));
    const bool truncated = answer.manner == Manner::truncated && !tcp;
    if (truncated) answer.records.clear();
    if (answer.manner == Manner::wrong_id) reply[0] ^= 0xff;
    reply[2] = static_cast<std::uint8_t>(0x81 | (truncated ? 0x02 : 0));  // QR, RD and TC.
    reply[3] = static_cast<std::uint8_t>(0x80 | answer.rcode);            // RA.
    reply[7] = static_cast<std::uint8_t>(answer.records.size());
    std::fill(reply.begin() + 8, reply.begin() + header_length, std::uint8_t{0});
    if (answer.manner == Manner::garbage) {
      reply[7] = 200;
      reply.insert(reply.end(), 64, 0xee);
      return reply;
    }
    for (const DnsAnswer::Record& record : answer.records) append_record(reply, record);
    return reply;
  }

  static bool read_question(std::span<const std::uint8_t> query, Question& question,
                            std::size_t& at) {
    std::string name;
    while (at < query.size() && query[at] != 0) {
      const std::size_t length = query[at];
      if (length > 63 || at + 1 + length >= query.size()) return false;
      if (!name.empty()) name += '.';
      for (std::size_t i = 0; i < length; ++i) {
        name += static_cast<char>(std::tolower(query[at + 1 + i]));
      }
      at += 1 + length;
    }
    if (at + 5 > query.size()) return false;
    question = {name, static_cast<DnsType>((query[at + 1] << 8) | query[at + 2])};
    at += 5;
    return true;
  }

  static void append_u16(Bytes& out, std::size_t value) {
    out.push_back(static_cast<std::uint8_t>(value >> 8));
    out.push_back(static_cast<std::uint8_t>(value));
  }

  static Bytes encoded_name(const std::string& name) {
    Bytes out;
    for (std::size_t at = 0; at < name.size();) {
      const std::size_t end = std::min(name.find('.', at), name.size());
      out.push_back(static_cast<std::uint8_t>(end - at));
      out.insert(out.end(), name.begin() + static_cast<std::ptrdiff_t>(at),
                 name.begin() + static_cast<std::ptrdiff_t>(end));
      at = end + 1;
    }
    out.push_back(0);
    return out;
  }

  static Bytes encoded_data(const DnsAnswer::Record& record) {
    if (record.type == DnsType::cname) return encoded_name(record.data);
    if (record.type == DnsType::srv) {
      Bytes out(4);  // Priority and weight.
      append_u16(out, record.port);
      const Bytes name = encoded_name(record.data);
      out.insert(out.end(), name.begin(), name.end());
      return out;
    }
    const bool is_v6 = record.type == DnsType::aaaa;
    Bytes out(is_v6 ? 16 : 4);
    require(::inet_pton(is_v6 ? AF_INET6 : AF_INET, record.data.c_str(), out.data()) == 1,
            "not an address");
    return out;
  }

  static void append_record(Bytes& out, const DnsAnswer::Record& record) {
    constexpr std::uint16_t pointer_to_question = 0xc000 | header_length;
    if (record.owner.empty()) {
      append_u16(out, pointer_to_question);
    } else {
      const Bytes owner = encoded_name(record.owner);
      out.insert(out.end(), owner.begin(), owner.end());
    }
    append_u16(out, static_cast<std::size_t>(record.type));
    append_u16(out, 1);  // IN.
    append_u16(out, record.ttl_s >> 16);
    append_u16(out, record.ttl_s & 0xffff);
    const Bytes data = encoded_data(record);
    append_u16(out, data.size());
    out.insert(out.end(), data.begin(), data.end());
  }

  UniqueFd stop_;
  UniqueFd udp_;
  UniqueFd tcp_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;  // Of what follows.
  std::map<Question, DnsAnswer> answers_;
  std::map<Question, std::size_t> asked_;
  std::vector<std::uint16_t> source_ports_;
  std::size_t tcp_questions_ = 0;
  std::thread thread_;
};

}  // namespace sni::test
