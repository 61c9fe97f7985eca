#pragma once

// Three hosts on two wires, as namespaces: client -- proxy -- backend, in both families, with the
// packet programs on the proxy's interfaces and on its lo; and a relay on the proxy that hands each
// connection over. `body` runs on the proxy.
//
//   198.18.1.2, 2001:db8:1::2  client -- proxy  198.18.1.1, 2001:db8:1::1
//   198.18.2.2, 2001:db8:2::2  backend -- proxy 198.18.2.1, 2001:db8:2::1

#include <doctest/doctest.h>
#include <net/if.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bpf/packet/handover.h"
#include "bpf/packet/packet_splice.h"
#include "bpf/packet/tc_attachment.h"
#include "support/net_namespace.h"
#include "support/own_network.h"

namespace sni::test {

inline Endpoint endpoint_at(const std::string& text) {
  const auto endpoint = parse_endpoint(text);
  REQUIRE(endpoint);
  return *endpoint;
}

inline UniqueFd stream_socket(const Endpoint& endpoint) {
  auto fd = UniqueFd::adopt(check(
      ::socket(endpoint.ip.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP),
      "socket"));
  prepare(fd.get());
  return fd;
}

inline void bind_to(int fd, const Endpoint& endpoint) {
  sockaddr_storage address{};
  const socklen_t size = to_sockaddr(endpoint, address);
  check(::bind(fd, reinterpret_cast<const sockaddr*>(&address), size), "bind");
}

inline void connect_to(int fd, const Endpoint& endpoint) {
  sockaddr_storage address{};
  const socklen_t size = to_sockaddr(endpoint, address);
  check(::connect(fd, reinterpret_cast<const sockaddr*>(&address), size), "connect");
}

inline Endpoint name_of(int fd, decltype(::getsockname)& which) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  check(which(fd, reinterpret_cast<sockaddr*>(&address), &size), "name");
  return *from_sockaddr(address);
}

inline UniqueFd listener_at(const Endpoint& endpoint) {
  auto fd = stream_socket(endpoint);
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  bind_to(fd.get(), endpoint);
  check(::listen(fd.get(), 256), "listen");
  return fd;
}

inline UniqueFd accept_at(const UniqueFd& listener) {
  auto fd =
      UniqueFd::adopt(check(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
  prepare(fd.get());
  return fd;
}

class SpliceLab {
 public:
  explicit SpliceLab(const PacketOptions& options = {}) {
    wire("c", client, "198.18.1", "2001:db8:1");
    wire("b", backend, "198.18.2", "2001:db8:2");
    auto loaded = PacketSplice::load(options);
    REQUIRE_MESSAGE(loaded, loaded.error().what);
    plane = std::move(*loaded);
    auto attacher = TcAttacher::open(
        {.program_fd = plane->program_fd(PacketLink::ethernet), .kind = std::nullopt});
    REQUIRE_MESSAGE(attacher, attacher.error().what);
    attach(*attacher, "c0", TcDirection::ingress);
    attach(*attacher, "b0", TcDirection::ingress);
    attach(*attacher, "lo", TcDirection::egress);
  }

  NetNamespace client;
  NetNamespace backend;
  std::unique_ptr<PacketSplice> plane;
  GracePeriods grace;

 private:
  void wire(const std::string& name, const NetNamespace& there, const std::string& v4,
            const std::string& v6) {
    const std::string near = name + "0";
    const std::string far = name + "1";
    ip("link add " + near + " type veth peer name " + far + " netns /proc/" +
       std::to_string(::getpid()) + "/fd/" + std::to_string(there.fd()));
    ip("address add " + v4 + ".1/24 dev " + near);
    ip("address add " + v6 + "::1/64 dev " + near + " nodad");
    ip("link set " + near + " up");
    there.run([&] {
      ip("address add " + v4 + ".2/24 dev " + far);
      ip("address add " + v6 + "::2/64 dev " + far + " nodad");
      ip("link set " + far + " up");
      ip("route add default via " + v4 + ".1");
      ip("-6 route add default via " + v6 + "::1");
      return 0;
    });
  }

  void attach(TcAttacher& attacher, const char* interface, TcDirection direction) {
    auto attached = attacher.attach(interface, direction);
    REQUIRE_MESSAGE(attached, attached.error().what);
    attachments_.push_back(std::move(*attached));
  }

  std::vector<TcAttachment> attachments_;
};

// One connection from end to end: the two ends' sockets, and the proxy's two while they last.
struct LabPair {
  UniqueFd client;
  UniqueFd backend;
  UniqueFd client_side;
  UniqueFd backend_side;
  HandoverPair pair;
};

struct LabPlaces {
  std::string listen = "198.18.1.1:443";  // On the proxy, for the client.
  std::string backend = "198.18.2.2:8443";
  const NetNamespace* backend_net = nullptr;  // Empty: on the proxy's own host.
  int backend_mss = 0;                        // TCP_MAXSEG towards the backend; 0: the route's.
  int proxy_buffer =
      0;  // SO_RCVBUF of the proxy's sockets: the window they offer; 0: the system's.
};

// Watches, connects and exchanges a hello and an answer, like a relay.
inline LabPair lab_pair(SpliceLab& lab, const LabPlaces& places, std::uint64_t flow = 1) {
  LabPair made;
  const Endpoint listen = endpoint_at(places.listen);
  const Endpoint target = endpoint_at(places.backend);
  const auto backend_listener = places.backend_net
                                    ? places.backend_net->run([&] { return listener_at(target); })
                                    : listener_at(target);
  const auto listener = listener_at(listen);
  if (places.proxy_buffer) set_option(listener.get(), SOL_SOCKET, SO_RCVBUF, places.proxy_buffer);
  made.client = lab.client.run([&] {
    auto fd = stream_socket(listen);
    connect_to(fd.get(), listen);
    return fd;
  });
  made.client_side = accept_at(listener);
  HandoverPair& pair = made.pair;
  pair.flow = flow;
  pair.keys.client = make_packet_key(name_of(made.client_side.get(), ::getpeername),
                                     name_of(made.client_side.get(), ::getsockname));
  REQUIRE(lab.plane->watch(pair.keys.client, flow, PACKET_CLIENT));

  made.backend_side = stream_socket(target);
  if (places.backend_mss)
    set_option(made.backend_side.get(), IPPROTO_TCP, TCP_MAXSEG, places.backend_mss);
  if (places.proxy_buffer)
    set_option(made.backend_side.get(), SOL_SOCKET, SO_RCVBUF, places.proxy_buffer);
  // Bound first, so that the key is known before the SYN-ACK comes.
  Endpoint own = target;
  if (places.backend_net)
    own = endpoint_at(target.ip.is_v4() ? "198.18.2.1:1" : "[2001:db8:2::1]:1");
  own.port = 0;
  bind_to(made.backend_side.get(), own);
  pair.keys.backend = make_packet_key(target, name_of(made.backend_side.get(), ::getsockname));
  REQUIRE(lab.plane->watch(pair.keys.backend, flow, PACKET_BACKEND));
  connect_to(made.backend_side.get(), target);
  made.backend = accept_at(backend_listener);

  send_all(made.client.get(), "hello");
  send_all(made.backend_side.get(), receive(made.client_side.get(), 5));
  CHECK(receive(made.backend.get(), 5) == "hello");
  send_all(made.backend.get(), "answer");
  send_all(made.client_side.get(), receive(made.backend_side.get(), 6));
  CHECK(receive(made.client.get(), 6) == "answer");
  pair.client_fd = made.client_side.get();
  pair.backend_fd = made.backend_side.get();
  pair.client_ifindex = if_nametoindex("c0");
  pair.backend_ifindex = if_nametoindex(places.backend_net ? "b0" : "lo");
  return made;
}

// Steps a hand-over to its end and closes the proxy's sockets if it took them.
inline HandoverStep hand_over(SpliceLab& lab, LabPair& made,
                              std::chrono::milliseconds quiesce = std::chrono::milliseconds{500}) {
  Handover handover(*lab.plane, lab.grace, made.pair, {.quiesce = quiesce});
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  HandoverStep step;
  for (;;) {
    const auto now = std::chrono::steady_clock::now();
    step = handover.step(now);
    if (step.state != HandoverState::waiting) break;
    REQUIRE_MESSAGE(now < deadline, "the hand-over does not end");
    std::this_thread::sleep_for(step.again);
  }
  if (step.state != HandoverState::declined) {
    made.client_side.reset();
    made.backend_side.reset();
  }
  return step;
}

}  // namespace sni::test
