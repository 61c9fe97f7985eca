#pragma once

// The control socket: a UNIX socket on which a running proxy takes commands. Anyone who may open it
// may use every command. Only its owner may, unless the configuration names a group.
//
// A request is one line of JSON and gets one line back:
//
//   {"version": 1, "command": "block", "prefix": "192.0.2.0/24"}
//   {"version": 1, "ok": true, "result": {...}}
//   {"version": 1, "ok": false, "error": "..."}
//
// The main thread serves it among other things and never waits for a client. Unread output of a
// client stays queued, and no further request of that client is read meanwhile. A client that reads
// nothing for limits::control_timeout_ms is disconnected. A command may be answered later, when
// workers or a thread of its own have done their part; only its client waits. The answer to a
// client that has left is dropped. A client may also ask for pushed lines; one that does not read
// them fast enough is disconnected.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/config.h"
#include "core/control/control_message.h"
#include "core/error.h"
#include "core/limits.h"
#include "core/unique_fd.h"

namespace sni {

// Takes the "result" of an answer, or the error. To be called once, immediately or later, on the
// main thread while the ControlServer lives.
using ControlReply = std::function<void(Result<nlohmann::json>)>;

// A group of the commands that a proxy takes.
class ControlCommands {
 public:
  virtual ~ControlCommands() = default;
  // False: it is not one of these commands, and `reply` is not used. `request` has all members,
  // including command and version.
  virtual bool run(std::string_view command, const nlohmann::json& request,
                   const ControlReply& reply) = 0;
};

class ControlServer {
 public:
  // Makes the last directory of the path if it is missing, and replaces a stale socket.
  // With more than `clients_max` the oldest client is dropped.
  static Result<std::unique_ptr<ControlServer>> listen(
      const ControlConfig& config, std::size_t clients_max = limits::control_clients_max);
  ~ControlServer();

  void add(std::unique_ptr<ControlCommands> commands) { commands_.push_back(std::move(commands)); }
  // Readable when dispatch() has work; dispatch() must also be called at deadline_ms(). `now_ms`:
  // CLOCK_MONOTONIC.
  int fd() const { return epoll_.get(); }
  std::optional<std::uint64_t> deadline_ms() const;
  void dispatch(std::uint64_t now_ms);

  using ClientId = std::uint64_t;  // Never used again; rises, so that the first is the oldest.
  // Within ControlCommands::run(): the client of the command.
  ClientId answering() const { return answering_; }
  // Appends whole lines, possibly none, to the queued output. False: the client is gone, or was
  // disconnected because more than push_backlog would be waiting for it.
  bool push(ClientId id, std::string_view lines);
  static constexpr std::size_t push_backlog = 1024 * 1024;

 private:
  struct Client {
    UniqueFd fd;
    std::string input;              // Less than a line, unless an answer is pending.
    std::string output;             // Not written yet.
    bool awaited = false;           // An answer is pending.
    bool ending = false;            // To be closed once the output is written.
    std::uint64_t progress_ms = 0;  // When it last read some of the output, or the output began.
  };

  ControlServer(std::string path, std::size_t clients_max)
      : path_(std::move(path)), clients_max_(clients_max) {}
  Result<void> open(const ControlConfig& config);
  Result<void> give_away(const ControlConfig& config) const;
  void cut_slow_clients();
  void accept_clients();
  bool serve(ClientId id, Client& client, std::uint32_t events);
  bool receive(Client& client);
  bool proceed(ClientId id, Client& client);
  void answer_lines(ClientId id, Client& client);
  bool flush(Client& client) const;
  void run(ClientId id, Client& client, std::string_view line);
  void reply(ClientId id, const Result<nlohmann::json>& result);

  std::string path_;
  std::size_t clients_max_;
  UniqueFd listener_;
  UniqueFd epoll_;
  std::map<ClientId, Client> clients_;
  ClientId last_id_ = 0;
  std::uint64_t now_ms_ = 0;  // Of dispatch().
  ClientId answering_ = 0;    // The client whose lines are being handled; 0: none.
  std::vector<std::unique_ptr<ControlCommands>> commands_;
};

}  // namespace sni
