// The commands about the process and its connections; docs/control.md has them all.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/config/log_level.h"
#include "core/control/control_message.h"
#include "core/control/flow_filter.h"
#include "net/control/control_socket.h"
#include "net/control/flow_answer.h"
#include "net/control/traffic_answer.h"
#include "net/log.h"
#include "net/server/backends_answer.h"
#include "net/server/server.h"

namespace sni {

namespace {

using nlohmann::json;

// How long the main thread waits for its workers, which answer between two completions.
constexpr std::uint64_t worker_answer_ms = 2000;

json of_workers(const Gather::Answers& answers) {
  json workers = json::array();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const auto* load = std::any_cast<WorkerLoad>(&answers[i]);
    workers.push_back({{"number", i}, {"connections", load ? json(load->connections) : json()}});
  }
  return workers;
}

}  // namespace

class Server::Commands : public ControlCommands {
 public:
  explicit Commands(Server& server) : server_(server) {}

  bool run(std::string_view command, const json& request, const ControlReply& reply) override {
    using Handler = void (Commands::*)(const json&, const ControlReply&);
    static constexpr std::pair<std::string_view, Handler> handlers[] = {
        {"status", &Commands::status},           {"stats", &Commands::stats},
        {"connections", &Commands::connections}, {"kill", &Commands::kill},
        {"reload", &Commands::reload},           {"drain", &Commands::drain},
        {"log_level", &Commands::log_level},     {"backends", &Commands::backends},
        {"disable", &Commands::disable},         {"enable", &Commands::enable},
        {"reopen", &Commands::reopen},           {"follow", &Commands::follow},
    };
    const auto* const found =
        std::ranges::find(handlers, command, &std::pair<std::string_view, Handler>::first);
    if (found == std::end(handlers)) return false;
    (this->*found->second)(request, reply);
    return true;
  }

 private:
  void status(const json& request, const ControlReply& reply);
  void stats(const json& request, const ControlReply& reply);
  void connections(const json& request, const ControlReply& reply);
  void follow(const json& request, const ControlReply& reply);
  void kill(const json& request, const ControlReply& reply);
  void reload(const json& request, const ControlReply& reply);
  void drain(const json& request, const ControlReply& reply);
  void reopen(const json& request, const ControlReply& reply);
  void log_level(const json& request, const ControlReply& reply);
  void backends(const json& request, const ControlReply& reply);
  void disable(const json& request, const ControlReply& reply) { take_out(request, true, reply); }
  void enable(const json& request, const ControlReply& reply) { take_out(request, false, reply); }
  void take_out(const json& request, bool out, const ControlReply& reply);

  // A `kill` that goes from page to page and from worker to worker.
  struct Killing {
    FlowFilter filter;
    FlowPosition at;
    std::size_t last_worker;
    std::uint64_t killed = 0;
    json unanswered = json::array();
    ControlReply reply;
  };
  void go_on(const std::shared_ptr<Killing>& killing);

  Server& server_;
};

std::unique_ptr<ControlCommands> Server::commands() {
  return std::make_unique<Commands>(*this);
}

void Server::gather(const WorkerQuestion& question, Gather::Done done) {
  const std::uint64_t deadline = monotonic_ms() + worker_answer_ms;
  auto tickets = gather_->ask(workers_.size(), deadline, std::move(done));
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i]->ended()) continue;  // Its ticket is dropped here.
    workers_[i]->tell(Ask{.question = question, .ticket = std::move(tickets[i])});
  }
}

void Server::ask(std::size_t worker, const WorkerQuestion& question, Gather::Done done) {
  auto tickets = gather_->ask(1, monotonic_ms() + worker_answer_ms, std::move(done));
  if (workers_[worker]->ended()) return;  // Its ticket is dropped here.
  workers_[worker]->tell(Ask{.question = question, .ticket = std::move(tickets.front())});
}

void Server::Commands::status(const json& /*request*/, const ControlReply& reply) {
  server_.gather([](const Worker& worker) { return std::any(worker.load()); },
                 [this, reply](const Gather::Answers& answers) {
                   json status = server_.status();
                   status["workers"] = of_workers(answers);
                   reply(std::move(status));
                 });
}

void Server::Commands::stats(const json& request, const ControlReply& reply) {
  const auto by = requested_traffic(request);
  const auto top = requested_top(request);
  if (!by) return reply(std::unexpected(by.error()));
  if (!top) return reply(std::unexpected(top.error()));
  if (!*by) return reply(server_.counted_totals());
  server_.gather_traffic({**by},
                         [this, kind = **by, top = *top, reply](const TrafficAnswer& answer) {
                           TrafficSum sum = answer.sums.front();
                           sum.add(server_.before_.reports[static_cast<std::size_t>(kind)]);
                           json result = traffic_answer(kind, sum.heaviest(top));
                           result["since"] = server_.before_.since_s;
                           if (!answer.unanswered.empty()) result["unanswered"] = answer.unanswered;
                           reply(std::move(result));
                         });
}

void Server::Commands::connections(const json& request, const ControlReply& reply) {
  const auto filter = requested_flows(request);
  const auto position = requested_position(request);
  if (!filter) return reply(std::unexpected(filter.error()));
  if (!position) return reply(std::unexpected(position.error()));
  FlowPosition at = flow_position(*position);
  std::size_t last = server_.workers_.size() - 1;
  if (filter->serial) {  // Only its worker can have it.
    at.worker = std::max<std::size_t>(at.worker, worker_of(*filter->serial));
    last = std::min<std::size_t>(last, worker_of(*filter->serial));
  }
  if (at.worker > last) return reply(flow_answer({}, std::nullopt));
  server_.ask(
      at.worker,
      [filter = *filter, at](Worker& worker) {
        return std::any(worker.list_flows(filter, at.place));
      },
      [at, last, reply](const Gather::Answers& answers) {
        const auto* page = std::any_cast<FlowPage>(&answers.front());
        const auto next = position_after(at, page, last);
        json result = flow_answer(page == nullptr ? FlowPage{} : *page, next);
        if (page == nullptr) result["unanswered"] = at.worker;
        reply(std::move(result));
      });
}

void Server::Commands::follow(const json& request, const ControlReply& reply) {
  const auto filter = requested_flows(request);
  if (!filter) return reply(std::unexpected(filter.error()));
  server_.follow(*filter);
  reply(json{{"following", true}});
}

void Server::Commands::kill(const json& request, const ControlReply& reply) {
  const auto filter = requested_flows(request);
  if (!filter) return reply(std::unexpected(filter.error()));
  if (filter->empty()) return reply(fail("say which: id, name, source or backend"));
  auto killing = std::make_shared<Killing>(Killing{
      .filter = *filter, .at = {}, .last_worker = server_.workers_.size() - 1, .reply = reply});
  if (filter->serial) {
    killing->at.worker = worker_of(*filter->serial);
    if (killing->at.worker > killing->last_worker) return reply(json{{"killed", 0}});
    killing->last_worker = killing->at.worker;
  }
  go_on(killing);
}

void Server::Commands::go_on(const std::shared_ptr<Killing>& killing) {
  server_.ask(
      killing->at.worker,
      [filter = killing->filter, place = killing->at.place](Worker& worker) {
        return std::any(worker.kill_flows(filter, place));
      },
      [this, killing](const Gather::Answers& answers) {
        const auto* page = std::any_cast<FlowPage>(&answers.front());
        if (page == nullptr) killing->unanswered.push_back(killing->at.worker);
        if (page != nullptr) killing->killed += page->killed;
        const auto next = position_after(killing->at, page, killing->last_worker);
        if (next) {
          killing->at = *next;
          return go_on(killing);
        }
        json result = {{"killed", killing->killed}};
        if (!killing->unanswered.empty()) result["unanswered"] = std::move(killing->unanswered);
        killing->reply(std::move(result));
      });
}

void Server::Commands::reload(const json& /*request*/, const ControlReply& reply) {
  if (server_.draining_) return reply(fail("the proxy is draining"));
  server_.reload([this, reply](const Reloaded& outcome) {
    json result = {{"reloaded", outcome.failure.empty()}, {"messages", outcome.messages}};
    if (!outcome.failure.empty()) result["failure"] = outcome.failure;
    server_.guard_->when_in_force([reply, result] { reply(result); });
  });
}

// A second one does not cut the connections that the first waits for.
void Server::Commands::drain(const json& /*request*/, const ControlReply& reply) {
  const bool already = server_.draining_;
  if (!already) server_.drain();
  reply(json{{"already", already},
             {"connections", server_.shared_.connections.load(std::memory_order_relaxed)}});
}

void Server::Commands::reopen(const json& /*request*/, const ControlReply& reply) {
  if (const auto opened = server_.reopen_log(); !opened) {
    return reply(std::unexpected(opened.error()));
  }
  reply(json{{"access_file", server_.snapshot_->config.log.access_file}});
}

void Server::Commands::log_level(const json& request, const ControlReply& reply) {
  if (const auto given = request.find("level"); given != request.end()) {
    const auto level = given->is_string() ? parse_log_level(given->get_ref<const std::string&>())
                                          : Result<LogLevel>(fail("level is not a string"));
    if (!level) return reply(std::unexpected(level.error()));
    set_log_level(*level);
  }
  reply(json{{"level", to_string(log_level_now())}});
}

void Server::Commands::backends(const json& request, const ControlReply& reply) {
  const auto position = requested_position(request);
  if (!position) return reply(std::unexpected(position.error()));
  reply(
      backends_answer(server_.backends_, server_.shared_.board, *position, server_.health_.get()));
}

void Server::Commands::take_out(const json& request, bool out, const ControlReply& reply) {
  const auto given = request.find("backend");
  if (given == request.end() || !given->is_string()) return reply(fail("say which: backend"));
  const auto& text = given->get_ref<const std::string&>();
  const Switched switched = switch_backends(server_.backends_, text, out);
  if (switched.found == 0) return reply(fail("no route has the backend '" + text + "'"));
  if (switched.changed != 0) {
    spdlog::info("backend {} {} by command", text, out ? "is disabled" : "is enabled");
  }
  reply(json{{"changed", switched.changed != 0}});
}

}  // namespace sni
