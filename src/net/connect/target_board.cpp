// The list of targets, part on the board: which are out, which are back, and what the log says of it.
// A target behind an upstream has a place of its own, beside the upstream's: what the upstream says
// of it, or its silence, keeps no other target from being tried.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "core/session/access_line.h"
#include "net/connect/target.h"
#include "net/interface_index.h"

namespace sni {
namespace {

// Whether the error means that the endpoint is unusable at present for any client.
bool puts_out(AttemptError error, std::uint64_t waited_ms) {
  switch (error) {
    case AttemptError::no_answer:
      return waited_ms > 0;
    case AttemptError::refused:
    case AttemptError::reset:
    case AttemptError::no_file:
    case AttemptError::host_unreachable:  // Includes a neighbour that does not answer ARP.
    case AttemptError::upstream_failed:
    case AttemptError::upstream_refused:
    case AttemptError::upstream_host_unreachable:
    case AttemptError::upstream_network_unreachable:
      return true;
    default:
      return false;
  }
}

// Limits messages per backend: true if it is time for one, which the caller then logs.
bool is_time(std::atomic<std::uint64_t>& told_ms, std::uint64_t now_ms) {
  std::uint64_t last_ms = told_ms.load(std::memory_order_relaxed);
  if (last_ms != 0 && now_ms < last_ms + limits::failover_told_ms) return false;
  return told_ms.compare_exchange_strong(last_ms, now_ms, std::memory_order_relaxed);
}

// Backends that accept and then reset may go out and come back with each connection, hence the gates.
void put_out(const BoardPlace& place, std::string_view what, AttemptError error,
             std::uint64_t waited_ms, TargetContext context) {
  const std::uint64_t begun_ms = context.now_ms - std::min(waited_ms, context.now_ms);
  if (!context.board.add(place.id, place.configured, begun_ms, context.now_ms)) return;
  if (!(place.configured ? context.changes : context.log).admit(context.now_ms)) return;
  spdlog::warn("{} is out: {}; tried last for {} s, and longer after each failed attempt", what,
               to_string(error), limits::out_ms / 1000);
}

// Whether it is back and the log may say so.
bool is_back(const BoardPlace& place, TargetContext context) {
  return context.board.answered(place.id, context.now_ms) &&
         (place.configured ? context.changes : context.log).admit(context.now_ms);
}

}  // namespace

void tell_reset(const BoardPlace& place, std::string_view text, TargetContext context) {
  put_out(place, "backend " + std::string(text), AttemptError::reset, 0, context);
}

// What is connected to: the backend, or the upstream, which the configuration names.
BoardPlace TargetList::dialled_place(const EndpointBoard& board, const Target& target) const {
  const Backend& backend = dialled(target).backend;
  const bool is_path = backend.kind == Backend::Kind::unix_path;
  return {.id = is_path ? board.id_of(backend.host) : board.id_of(target.endpoint),
          .configured = !backend.is_of_client()};
}

// No path of a UNIX socket begins with the byte 0 (core/address/backend.cpp).
BoardPlace TargetList::place_on(const EndpointBoard& board, const Target& target) const {
  const Upstream* const upstream = route_->upstream.get();
  if (upstream == nullptr) return dialled_place(board, target);
  std::string text = '\0' + upstream->name + '\0' + backend_of(target).text;
  if (!backend_of(target).is_of_client()) return {.id = board.id_of(text), .configured = true};
  text += '\0';
  text += requested_name_;
  return {.id = board.id_of(text), .configured = false};
}

bool TargetList::is_put_off(TargetContext context) const {
  const BoardPlace place = place_on(context.board, target_);
  if (context.board.puts_off(place.id, context.now_ms)) return true;
  if (route_->upstream == nullptr) return false;
  return context.board.puts_off(dialled_place(context.board, target_).id, context.now_ms);
}

void TargetList::tell_out(const Target& target, std::uint64_t waited_ms,
                          TargetContext context) const {
  if (!puts_out(error_, waited_ms)) return;
  put_out(place_on(context.board, target), "backend " + text_of(target), error_, waited_ms,
          context);
}

void TargetList::tell_dialled_out(const Target& target, std::uint64_t waited_ms,
                                  TargetContext context) const {
  const Upstream* const upstream = route_->upstream.get();
  if (upstream == nullptr) return tell_out(target, waited_ms, context);
  if (!puts_out(error_, waited_ms)) return;
  put_out(dialled_place(context.board, target), "upstream " + upstream->name, error_, waited_ms,
          context);
}

void TargetList::tell_answered(const Target& target, TargetContext context) const {
  if (!is_back(place_on(context.board, target), context)) return;
  spdlog::info("backend {} is back: it has answered", text_of(target));
}

void TargetList::tell_upstream_answered(const Target& target, TargetContext context) const {
  const Upstream* const upstream = route_->upstream.get();
  if (upstream == nullptr || !is_back(dialled_place(context.board, target), context)) return;
  spdlog::info("upstream {} is back: it has answered", upstream->name);
}

// Another backend than the first choice has taken the connection.
void TargetList::tell_of_failover(const Target& target, TargetContext context) const {
  if (target.backend == first_ || !first_failure_) return;
  const BackendEntry& first = *route_->backends[first_];
  const std::uint32_t since = first.failovers.fetch_add(1, std::memory_order_relaxed) + 1;
  if (!is_time(first.failover_told_ms, context.now_ms)) return;
  first.failovers.fetch_sub(since, std::memory_order_relaxed);
  spdlog::warn("backend {} failed ({}); {} serves route {} in its place{}", first.backend.text,
               to_string(first_failure_->error), backend_of(target).text,
               route_->config.names.front(),
               since == 1 ? "" : fmt::format(", {} connections since the last such line", since));
}

void TargetList::tell_all_out(TargetContext context) const {
  if (!is_time(route_->backends.front()->all_out_told_ms, context.now_ms)) return;
  spdlog::warn("every backend of route {} is out; they are still tried",
               route_->config.names.front());
}

// In a form that is safe in a log.
std::string TargetList::text_of(const Target& target) const {
  const Backend& backend = backend_of(target);
  const Upstream* const upstream = route_->upstream.get();
  if (backend.kind == Backend::Kind::address && upstream == nullptr) {
    return target.endpoint.to_string(interface_name);
  }
  std::string text = escape_for_log(backend.text);
  if (backend.is_of_client()) text += " as " + escape_for_log(host_of(backend));
  if (upstream != nullptr) text += " by upstream " + upstream->name;
  if (target.endpoint.port != 0) text += " (" + target.endpoint.to_string(interface_name) + ")";
  return text;
}

}  // namespace sni
