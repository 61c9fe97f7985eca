// Clients that follow connections on the control socket, and the events that they get.
//
//   {"command": "follow", ...}   with the filter of `connections`
//     -> {"following": true}, then a line for each connection that reaches its backend or ends:
//        {"version": 1, "event": "begin", "connection": {...}}
//        {"version": 1, "event": "end", "connection": {...}, "end": "done"}
//        {"version": 1, "event": "missed", "count": 7}   events that came too fast

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "core/control/control_message.h"
#include "net/control/control_socket.h"
#include "net/control/flow_answer.h"
#include "net/server/server.h"

namespace sni {

namespace {

using nlohmann::json;

std::string line_of(const FlowEvent& event) {
  const bool ended = event.end.reason != EndReason::none;
  const FlowProgress progress{.phase = ended ? Phase::closed : Phase::relaying,
                              .plane = event.record.plane,
                              .to_backend = event.end.to_backend,
                              .to_client = event.end.to_client};
  json line = {{"event", ended ? "end" : "begin"},
               {"connection", followed_flow(live_flow(event.record, progress, event.at_ms))}};
  if (ended) line["end"] = to_string(event.end.reason);
  return control_event(std::move(line)) + '\n';
}

}  // namespace

void Server::follow(const FlowFilter& filter) {
  followers_.push_back({.client = control_->answering(), .filter = filter, .text = {}});
  shared_.news.set_followers(followers_.size());
}

// To be called after control_->dispatch(), which sets the time.
void Server::tell_followers() {
  const FlowNews::Taken news = shared_.news.take();
  for (const FlowEvent& event : news.events) {
    std::optional<std::string> line;  // Made once, and only if a client wants it.
    for (Follower& each : followers_) {
      if (!each.filter.matches(event.record)) continue;
      if (!line) line = line_of(event);
      each.text += *line;
    }
  }
  const std::string missed =
      news.missed == 0 ? std::string()
                       : control_event({{"event", "missed"}, {"count", news.missed}}) + '\n';
  std::erase_if(followers_, [&](Follower& each) {
    each.text += missed;
    return !control_->push(each.client, std::exchange(each.text, {}));
  });
  shared_.news.set_followers(followers_.size());
}

}  // namespace sni
