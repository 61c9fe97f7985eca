#include "net/dns/dns_channel.h"

// Versions before 1.28 have only ares_query().
#define CARES_NO_DEPRECATED
#include <ares.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <iterator>

#include "net/dns/service_reply.h"

namespace sni {
namespace {

// Queries from one UDP port before c-ares changes it: a blind attacker must then guess the port as
// well as the 16-bit id (RFC 5452). For c-ares 1.20 and newer; older versions take a new port
// whenever no question is under way.
[[maybe_unused]] constexpr int udp_queries_per_port = 64;

int family_number(DnsFamily family) {
  return family == DnsFamily::v6 ? AF_INET6 : AF_INET;
}

Error library_error(std::string what, int status) {
  return {.what = std::move(what) + ": " + ares_strerror(status)};
}

// Once for all channels of the process; never undone, since a worker may still use it.
Result<void> init_library() {
  static const int status = ares_library_init(ARES_LIB_INIT_ALL);
  if (status != ARES_SUCCESS) {
    return std::unexpected(library_error("cannot initialise c-ares", status));
  }
  return {};
}

std::string server_list(const std::vector<Endpoint>& servers) {
  std::string list;
  for (const Endpoint& server : servers) {
    if (!list.empty()) list += ',';
    list += server.to_string();
  }
  return list;
}

std::vector<Endpoint> without_scopes(std::vector<Endpoint> servers) {
  for (Endpoint& server : servers) server.scope = 0;
  return servers;
}

DnsReply::Status reply_status(int status) {
  switch (status) {
    case ARES_SUCCESS:
    case ARES_ENODATA:
      return DnsReply::Status::no_data;  // Unless it has addresses.
    case ARES_ENOTFOUND:
      return DnsReply::Status::no_name;
    case ARES_ETIMEOUT:
      return DnsReply::Status::silent;
    case ARES_ECONNREFUSED:
      return DnsReply::Status::unreachable;
    default:
      return DnsReply::Status::failed;
  }
}

std::optional<IpAddress> node_address(const ares_addrinfo_node& node) {
  sockaddr_storage storage{};
  if (node.ai_addrlen > sizeof storage) return std::nullopt;
  std::copy_n(reinterpret_cast<const char*>(node.ai_addr), node.ai_addrlen,
              reinterpret_cast<char*>(&storage));
  const std::optional<Endpoint> endpoint = from_sockaddr(storage);
  return endpoint ? std::optional(endpoint->ip) : std::nullopt;
}

std::uint64_t milliseconds(int ttl_s) {
  return static_cast<std::uint64_t>(std::max(ttl_s, 0)) * 1000;
}

DnsReply read_reply(int status, const ares_addrinfo* found) {
  DnsReply reply{.status = reply_status(status)};
  if (status != ARES_SUCCESS || !found || !found->nodes) return reply;
  reply.ttl_ms = milliseconds(found->nodes->ai_ttl);
  for (const ares_addrinfo_node* node = found->nodes; node; node = node->ai_next) {
    reply.ttl_ms = std::min(reply.ttl_ms, milliseconds(node->ai_ttl));
    const std::optional<IpAddress> address = node_address(*node);
    if (address && reply.addresses.size() < limits::backend_addresses_max) {
      reply.addresses.push_back(*address);
    }
  }
  // The answer expires no later than the aliases that led to it.
  for (const ares_addrinfo_cname* alias = found->cnames; alias; alias = alias->next) {
    reply.ttl_ms = std::min(reply.ttl_ms, milliseconds(alias->ttl));
  }
  if (!reply.addresses.empty()) reply.status = DnsReply::Status::found;
  return reply;
}

}  // namespace

Result<std::unique_ptr<DnsChannel>> DnsChannel::create(const DnsConfig& config,
                                                       const std::vector<Endpoint>& servers,
                                                       ResolverIo& io, std::uint32_t& watch_ids) {
  std::unique_ptr<DnsChannel> channel(new DnsChannel(io, watch_ids));
  if (auto opened = channel->open(config, servers); !opened) {
    return std::unexpected(std::move(opened.error()));
  }
  return channel;
}

Result<void> DnsChannel::open(const DnsConfig& config, const std::vector<Endpoint>& servers) {
  if (auto ready = init_library(); !ready) return ready;
  std::string lookups = "b";
  std::string no_file = "/dev/null";
  ares_options options{};
  options.timeout = static_cast<int>(std::clamp<std::int64_t>(config.timeout.count(), 1, 60'000));
  options.tries = static_cast<int>(std::clamp(config.tries, 1u, 10u));
  options.ndomains = 0;
  options.lookups = lookups.data();
  options.resolvconf_path = no_file.data();
  options.sock_state_cb = &DnsChannel::on_socket_state;
  options.sock_state_cb_data = this;
#ifdef ARES_OPT_UDP_MAX_QUERIES
  options.udp_max_queries = udp_queries_per_port;
  constexpr int udp_option = ARES_OPT_UDP_MAX_QUERIES;
#else
  constexpr int udp_option = 0;
#endif
#ifdef ARES_OPT_QUERY_CACHE
  options.qcache_max_ttl = 0;  // core/dns/dns_cache.h is the cache.
  constexpr int cache_option = ARES_OPT_QUERY_CACHE;
#else
  constexpr int cache_option = 0;
#endif
  constexpr int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS |
                       ARES_OPT_RESOLVCONF | ARES_OPT_SOCK_STATE_CB | ARES_OPT_NOROTATE |
                       udp_option | cache_option;
  if (const int status = ares_init_options(&channel_, &options, mask); status != ARES_SUCCESS) {
    channel_ = nullptr;
    return std::unexpected(library_error("cannot set up the DNS resolver", status));
  }
  return set_servers(servers);
}

Result<void> DnsChannel::set_servers(const std::vector<Endpoint>& servers) {
  const std::string list = server_list(servers);
  int status = ares_set_servers_ports_csv(channel_, list.c_str());
  const bool scoped =
      std::ranges::any_of(servers, [](const Endpoint& server) { return server.scope != 0; });
  if (status != ARES_SUCCESS && scoped) {
    connect_by_scope(servers);
    status = ares_set_servers_ports_csv(channel_, server_list(without_scopes(servers)).c_str());
  }
  if (status == ARES_SUCCESS) return {};
  return std::unexpected(library_error("cannot use DNS servers " + list, status));
}

// If c-ares is given one of these functions, it uses all of them, and leaves the sockets' options
// to us.
void DnsChannel::connect_by_scope(const std::vector<Endpoint>& servers) {
  std::ranges::copy_if(servers, std::back_inserter(scoped_servers_),
                       [](const Endpoint& server) { return server.scope != 0; });
  static const ares_socket_functions functions{
      .asocket = [](int family, int type, int protocol, void*) -> ares_socket_t {
        return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
      },
      .aclose = [](ares_socket_t fd, void*) { return close(fd); },
      .aconnect =
          [](ares_socket_t fd, const sockaddr* address, ares_socklen_t length, void* self) {
            return static_cast<DnsChannel*>(self)->connect_to(fd, address, length);
          },
      .arecvfrom = [](ares_socket_t fd, void* bytes, std::size_t size, int flags, sockaddr* from,
                      ares_socklen_t* length, void*) -> ares_ssize_t {
        return recvfrom(fd, bytes, size, flags, from, length);
      },
      .asendv = [](ares_socket_t fd, const iovec* parts, int count, void*) -> ares_ssize_t {
        return writev(fd, parts, count);
      }};
  ares_set_socket_functions(channel_, &functions, this);
}

int DnsChannel::connect_to(int fd, const sockaddr* address, unsigned length) const {
  sockaddr_storage storage{};
  if (length > sizeof storage) return -1;
  std::memcpy(&storage, address, length);
  const auto wanted = from_sockaddr(storage);
  for (const Endpoint& server : scoped_servers_) {
    if (!wanted || server.ip != wanted->ip || server.port != wanted->port) continue;
    length = to_sockaddr(server, storage);
    break;
  }
  return connect(fd, reinterpret_cast<const sockaddr*>(&storage), length);
}

DnsChannel::~DnsChannel() {
  closing_ = true;
  if (channel_) ares_destroy(channel_);
  assert(sockets_.empty());
}

void DnsChannel::ask(const std::string& name, DnsFamily family, std::uint64_t tag) {
  const std::string absolute = name + '.';
  auto call = std::make_unique<Call>(Call{.channel = this, .tag = tag, .family = family});
  if (family == DnsFamily::service) {
    return ares_query(channel_, absolute.c_str(), ns_c_in, ns_t_srv, &DnsChannel::on_service_answer,
                      call.release());
  }
  ares_addrinfo_hints hints{};
  hints.ai_flags = ARES_AI_NOSORT;
  hints.ai_family = family_number(family);
  hints.ai_socktype = SOCK_STREAM;  // One node per address.
  ares_getaddrinfo(channel_, absolute.c_str(), nullptr, &hints, &DnsChannel::on_answer,
                   call.release());
}

void DnsChannel::on_service_answer(void* argument, int status, int /*timeouts*/,
                                   unsigned char* message, int size) {
  const std::unique_ptr<Call> call(static_cast<Call*>(argument));
  DnsChannel& self = *call->channel;
  if (self.closing_) return;
  DnsReply reply{.status = reply_status(status)};
  if (status == ARES_SUCCESS && size > 0) {
    reply = read_service_reply({message, static_cast<std::size_t>(size)});
  }
  self.replies_.push_back({.tag = call->tag, .family = call->family, .reply = std::move(reply)});
}

void DnsChannel::on_answer(void* argument, int status, int /*timeouts*/, ares_addrinfo* found) {
  const std::unique_ptr<Call> call(static_cast<Call*>(argument));
  const std::unique_ptr<ares_addrinfo, decltype(&ares_freeaddrinfo)> owned(found,
                                                                           &ares_freeaddrinfo);
  DnsChannel& self = *call->channel;
  if (self.closing_) return;
  self.replies_.push_back(
      {.tag = call->tag, .family = call->family, .reply = read_reply(status, found)});
}

void DnsChannel::arm(Socket& socket) {
  if (socket.watch_id != 0) io_.unwatch(socket.watch_id);
  socket.watch_id = ++watch_ids_;
  if (socket.watch_id == 0) socket.watch_id = ++watch_ids_;
  io_.watch(socket.watch_id, socket.fd, socket.readable, socket.writable);
}

// c-ares reports what it waits for on a socket. Neither: it is about to close it.
void DnsChannel::on_socket_state(void* channel, int fd, int readable, int writable) {
  DnsChannel& self = *static_cast<DnsChannel*>(channel);
  auto found = std::ranges::find(self.sockets_, fd, &Socket::fd);
  if (!readable && !writable) {
    if (found == self.sockets_.end()) return;
    if (found->watch_id != 0) self.io_.unwatch(found->watch_id);
    self.sockets_.erase(found);
    return;
  }
  if (found == self.sockets_.end()) {
    found = self.sockets_.insert(found,
                                 {.fd = fd, .watch_id = 0, .readable = false, .writable = false});
  } else if (found->watch_id != 0 && found->readable == (readable != 0) &&
             found->writable == (writable != 0)) {
    return;
  }
  found->readable = readable != 0;
  found->writable = writable != 0;
  self.arm(*found);
}

bool DnsChannel::on_ready(std::uint32_t watch_id, bool readable, bool writable) {
  const auto ready = std::ranges::find(sockets_, watch_id, &Socket::watch_id);
  if (watch_id == 0 || ready == sockets_.end()) return false;
  ready->watch_id = 0;
  if (!writable) readable = true;  // Only an error: reading finds out which.
  const int fd = ready->fd;
  // This may close the socket and open others, which moves the elements of sockets_.
  ares_process_fd(channel_, readable ? fd : ARES_SOCKET_BAD, writable ? fd : ARES_SOCKET_BAD);
  for (Socket& socket : sockets_) {
    if (socket.watch_id == 0) arm(socket);
  }
  return true;
}

std::optional<std::uint64_t> DnsChannel::next_deadline_ms(std::uint64_t now_ms) {
  timeval left{};
  if (!ares_timeout(channel_, nullptr, &left)) return std::nullopt;
  // Rounded up: an early tick would find nothing to do and repeat at once.
  return now_ms + static_cast<std::uint64_t>(left.tv_sec) * 1000 +
         (static_cast<std::uint64_t>(left.tv_usec) + 999) / 1000;
}

void DnsChannel::on_tick() {
  ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

}  // namespace sni
