#include "net/health/probe.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "core/health/probe_hello.h"
#include "core/limits.h"
#include "core/proxy_protocol/proxy_writer.h"
#include "net/connect/source.h"
#include "net/random_key.h"
#include "net/socket.h"

namespace sni {
namespace {

std::string text_of(int sys_errno) {
  return std::generic_category().message(sys_errno);
}

// RFC 8446 4.1.2 requires 32 of them.
HelloRandom random_bytes() {
  HelloRandom bytes;
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(SipKey)) {
    const SipKey key = random_key();
    std::memcpy(bytes.data() + at, key.data(), sizeof(SipKey));
  }
  return bytes;
}

socklen_t address_of(const ProbeRequest& request, sockaddr_storage& storage) {
  if (request.endpoint.port != 0) return to_sockaddr(request.endpoint, storage);
  sockaddr_un local{.sun_family = AF_UNIX, .sun_path = {}};
  request.path.copy(local.sun_path, sizeof local.sun_path - 1);
  std::memcpy(&storage, &local, sizeof local);
  return sizeof local;
}

}  // namespace

Probe::Outcome Probe::begin(const ProbeRequest& request, const TcpConfig& tcp) {
  sockaddr_storage address{};
  const socklen_t length = address_of(request, address);
  auto socket = open_backend_socket(address.ss_family, tcp);
  if (!socket) return fail_with(socket.error().sys_errno);
  socket_ = std::move(*socket);
  fcntl(fd(), F_SETFL, O_NONBLOCK);
  // A check has no client whose address it could use.
  if (request.source != nullptr && request.source->is_set() && address.ss_family != AF_UNIX) {
    SourceConfig source = *request.source;
    source.transparent = false;
    if (const auto set = set_source(fd(), address.ss_family, source, {}); !set) {
      return set.error().what;
    }
  }
  const int connected = connect(fd(), reinterpret_cast<const sockaddr*>(&address), length);
  if (connected != 0 && errno != EINPROGRESS) return fail_with(errno);
  compose(request);
  if (connected == 0) return send_rest();
  connecting_ = true;
  return std::nullopt;
}

// Local ports are used up (EADDRNOTAVAIL), unless the configuration chose the source.
Probe::Outcome Probe::fail_with(int sys_errno) {
  hindered_ = lacks_descriptors(sys_errno) || sys_errno == ENOMEM || sys_errno == ENOBUFS ||
              sys_errno == EADDRNOTAVAIL;
  return text_of(sys_errno);
}

// To be called once the socket has its local address.
void Probe::compose(const ProbeRequest& request) {
  if (request.send_proxy != ProxyVersion::none) {
    ProxyHeaderSpace space;
    const auto header = write_proxy_local(request.send_proxy,
                                          {.source = local_of(fd()),
                                           .destination = request.endpoint,
                                           .alpn = {},
                                           .authority = {},
                                           .unique_id = {}},
                                          space);
    output_.assign(header.begin(), header.end());
  }
  if (request.check == HealthCheck::tls) {
    const auto hello = probe_hello(request.server_name, random_bytes());
    output_.insert(output_.end(), hello.begin(), hello.end());
    expects_answer_ = true;
  }
}

Probe::Outcome Probe::advance() {
  if (connecting_) {
    if (const int error = take_error(fd()); error != 0) return text_of(error);
    connecting_ = false;
  }
  return sent_ < output_.size() || !expects_answer_ ? send_rest() : receive();
}

Probe::Outcome Probe::send_rest() {
  while (sent_ < output_.size()) {
    const ssize_t sent = send(fd(), output_.data() + sent_, output_.size() - sent_, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return std::nullopt;
    if (sent < 0) return text_of(errno);
    sent_ += static_cast<std::size_t>(sent);
  }
  return expects_answer_ ? std::nullopt : Outcome("");
}

Probe::Outcome Probe::receive() const {
  std::array<std::uint8_t, limits::health_answer_bytes> answer;
  const ssize_t received = recv(fd(), answer.data(), answer.size(), 0);
  if (received < 0 && errno == EAGAIN) return std::nullopt;
  if (received < 0) return text_of(errno);
  if (received == 0) return "it closes without an answer";
  return std::string(probe_refusal(answer.front()));
}

}  // namespace sni
