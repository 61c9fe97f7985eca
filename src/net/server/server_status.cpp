// `status`: what the process is doing, gathered from its workers.
//
//   {"command": "status"}
//     -> {"version": "0.2.0", "pid": 1, "state": "serving" | "draining", "uptime_s": 42,
//         "config": {"path": ..., "loaded": "2026-01-01T00:00:00Z"},
//         "listeners": [{"name": ..., "address": ..., "protocol": ...}, ...],
//         "connections": 3, "connections_max": 9000,
//         "workers": [{"number": 0, "connections": 3}, {"number": 1, "connections": null}],
//         "totals": {"accepted": 5, "ended": {"done": 2, ...}, ...}}
//
// connections: null is a worker that did not answer in time, or has ended.

#include <unistd.h>

#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

#include "net/control/control_socket.h"
#include "net/server/server.h"

namespace sni {

namespace {

using nlohmann::json;

// How long the main thread waits for its workers, who look between two completions.
constexpr std::uint64_t worker_answer_ms = 2000;

std::string utc(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[sizeof "2026-01-01T00:00:00Z"];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

json listed(const std::vector<ListenerConfig>& listeners) {
  json list = json::array();
  for (const ListenerConfig& listener : listeners) {
    list.push_back({{"name", listener.name},
                    {"address", listener.address.to_string()},
                    {"protocol", listener.protocol == Protocol::tls ? "tls" : "http"}});
  }
  return list;
}

json counted(const std::vector<Total>& totals) {
  json counts = json::object();
  for (const auto& [name, reason, value] : totals) {
    json& place = counts[std::string(name)];
    (reason.empty() ? place : place[std::string(reason)]) = value;
  }
  return counts;
}

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

  bool run(std::string_view command, const json& /*request*/, const ControlReply& reply) override {
    if (command != "status") return false;
    server_.gather([](const Worker& worker) { return std::any(worker.load()); },
                   [this, reply](const Gather::Answers& answers) {
                     json status = server_.status();
                     status["workers"] = of_workers(answers);
                     reply(std::move(status));
                   });
    return true;
  }

 private:
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

json Server::status() const {
  const auto uptime =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_);
  return {{"version", version_},
          {"pid", getpid()},
          {"state", draining_ ? "draining" : "serving"},
          {"uptime_s", uptime.count()},
          {"config", {{"path", config_path_}, {"loaded", utc(loaded_at_)}}},
          {"listeners", draining_ ? json::array() : listed(snapshot_->config.listeners)},
          {"connections", shared_.connections.load(std::memory_order_relaxed)},
          {"connections_max", snapshot_->settings->connections_max},
          {"totals", counted(totals())}};
}

std::vector<Total> Server::totals() const {
  std::vector<const Counters*> counters;
  for (const auto& worker : workers_) counters.push_back(&worker->counters());
  return sni::totals(counters);
}

}  // namespace sni
