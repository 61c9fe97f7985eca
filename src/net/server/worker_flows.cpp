// Commands on the worker's connections, a page at a time.

#include <algorithm>

#include "net/planes/saved_record.h"
#include "net/server/worker.h"

namespace sni {

// Takes over flows of an earlier process. They are counted regardless of the present limits.
void Worker::take_over_flows() {
  PlanePacket& packet = loop_->planes.packet();
  for (const LeftFlow& left : packet.take_left()) {
    Seat seat = Seat::adopt(shared_);
    FlowRecord record = restored_record(left.saved, snapshot_->routes, snapshot_->listener_configs);
    if (!record.is_of_proxy()) {
      (void)seat.take_source(record.client.ip, snapshot_->config.limits.connections_per_source);
    }
    Flow& flow = loop_->ledger.open(std::move(record), std::move(seat));
    take_places(flow);
    packet.restore(left, flow);
    // Bytes so far are traffic of the earlier process.
    if (const auto progress = progress_of(flow)) {
      flow.counted = {
          .connections = 1, .to_backend = progress->to_backend, .to_client = progress->to_client};
      flow.counted_plane = flow.record.plane;
    }
  }
}

template <typename Visit>
FlowPage Worker::visit_flows(const FlowFilter& filter, std::uint32_t from, Visit&& visit) {
  FlowPage page;
  if (!loop_) return page;
  Ledger& ledger = loop_->ledger;
  const std::uint32_t end = std::min(ledger.places(), std::max(from, from + flow_page_places));
  std::uint32_t found = 0;
  for (std::uint32_t place = from; place < end; ++place) {
    Flow* flow = ledger.find(place);
    if (flow == nullptr || !filter.matches(flow->record)) continue;
    if (found++ == flow_page_flows) {
      page.next = place;
      return page;
    }
    visit(page, *flow);
  }
  if (end < ledger.places()) page.next = end;
  return page;
}

FlowPage Worker::list_flows(const FlowFilter& filter, std::uint32_t from) {
  return visit_flows(filter, from, [this](FlowPage& page, Flow& flow) {
    const auto progress = progress_of(flow);
    if (!progress) return;
    LiveFlow& live = page.flows.emplace_back(live_flow(flow.record, *progress, loop_->now_ms));
    live.rate = flow.rate.look(progress->to_backend + progress->to_client, flow.record.started_ms,
                               loop_->now_ms);
  });
}

// Connections in set-up have moved nothing, and their true client may not be known yet.
TrafficPage Worker::traffic(const std::vector<TrafficKind>& kinds, std::uint32_t from) {
  const FlowPage page = visit_flows({}, from, [this](FlowPage& /*page*/, Flow& flow) {
    const auto progress = progress_of(flow);
    if (!progress || progress->plane == PlaneId::none) return;
    loop_->ledger.settle(flow, progress->to_backend, progress->to_client);
  });
  if (page.next) return {.next = page.next, .reports = {}};
  return {.next = std::nullopt, .reports = traffic_reports(kinds)};
}

std::vector<TrafficReport> Worker::traffic_reports(const std::vector<TrafficKind>& kinds) const {
  std::vector<TrafficReport> reports;
  reports.reserve(kinds.size());
  for (const TrafficKind kind : kinds) reports.push_back(traffic_.report(kind));
  return reports;
}

std::optional<FlowProgress> Worker::progress_of(const Flow& flow) {
  if (flow.splice != 0) return loop_->planes.packet().progress(flow.splice);
  Connection* connection = slots_.find(flow.slot);
  return connection == nullptr ? std::nullopt : std::optional(connection->progress());
}

FlowPage Worker::kill_flows(const FlowFilter& filter, std::uint32_t from) {
  std::vector<PlanePacket::Ended> ended;
  FlowPage page = visit_flows(filter, from, [this, &ended](FlowPage& killing, Flow& flow) {
    ++killing.killed;
    if (flow.splice != 0) {
      return loop_->planes.packet().kill(flow.splice, EndReason::killed, loop_->now_ms, ended);
    }
    const std::uint32_t slot = flow.slot;
    slots_.find(slot)->kill(EndReason::killed);
    free_if_closed(slot);
  });
  for (const auto& each : ended) {
    loop_->ledger.end(*each.flow, each.end, loop_->refusals_log, loop_->now_ms);
  }
  return page;
}

}  // namespace sni
