#pragma once

// The control socket: a UNIX socket on which a running proxy takes commands. Whoever may open it
// may do all that it offers; it is its owner's alone unless the configuration gives it to a group.
//
// A request is one line of JSON and gets one line back:
//
//   {"version": 1, "command": "block", "prefix": "192.0.2.0/24"}
//   {"version": 1, "ok": true, "result": {...}}
//   {"version": 1, "ok": false, "error": "..."}
//
// The main thread serves it between other things and never waits for a client: what a client does
// not read stays queued, and until then none of its further requests is read. A client that reads
// nothing for limits::control_patience_ms is cut. A command may be
// answered later, when workers or a thread of its own have done their part; its client waits, and
// all others go on. The answer to a client that has left is dropped. Beside answers a client may be
// pushed lines that it has asked for; one that does not read them as fast as they come is cut.

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
#include "core/unique_fd.h"

namespace sni {

// The "result" of an answer, or the error. To be called once, at once or later, on the main thread
// and while the ControlServer lives.
using ControlReply = std::function<void(Result<nlohmann::json>)>;

// Some of the commands that a proxy takes.
class ControlCommands {
 public:
  virtual ~ControlCommands() = default;
  // False: it is none of these commands, and `reply` is not used. `request` has all members,
  // command and version among them.
  virtual bool run(std::string_view command, const nlohmann::json& request,
                   const ControlReply& reply) = 0;
};

class ControlServer {
 public:
  // Makes the last directory of the path where it is missing, and takes the place of a socket that
  // nobody listens on any more.
  static Result<std::unique_ptr<ControlServer>> listen(const ControlConfig& config);
  ~ControlServer();

  void add(std::unique_ptr<ControlCommands> commands) { commands_.push_back(std::move(commands)); }
  // Readable when there is something to dispatch(), which also wants to be called at deadline_ms().
  // `now_ms`: CLOCK_MONOTONIC.
  int fd() const { return epoll_.get(); }
  std::optional<std::uint64_t> deadline_ms() const;
  void dispatch(std::uint64_t now_ms);

  using ClientId = std::uint64_t;  // Never used again; rises, so that the first is the oldest.
  // Within ControlCommands::run(): whose command it is.
  ClientId answering() const { return answering_; }
  // Sends whole lines, which may be none, after what is queued. False: the client is gone, or is cut
  // because more than push_backlog would be waiting for it.
  bool push(ClientId id, std::string_view lines);
  static constexpr std::size_t push_backlog = 1024 * 1024;

 private:
  struct Client {
    UniqueFd fd;
    std::string input;              // Less than a line, unless an answer is awaited.
    std::string output;             // What is not written yet.
    bool awaited = false;           // A command is at work on its answer.
    bool ending = false;            // To be closed once the output is written.
    std::uint64_t progress_ms = 0;  // When it read something of the output, or that began.
  };

  explicit ControlServer(std::string path) : path_(std::move(path)) {}
  Result<void> open(const ControlConfig& config);
  Result<void> give_away(const ControlConfig& config) const;
  void cut_slow_clients();
  void accept_clients();
  bool serve(ClientId id, Client& client, std::uint32_t events);
  bool receive(Client& client);
  bool proceed(ClientId id, Client& client);
  void answer_lines(ClientId id, Client& client);
  bool flush(Client& client);
  void run(ClientId id, Client& client, std::string_view line);
  void reply(ClientId id, const Result<nlohmann::json>& result);

  std::string path_;
  UniqueFd listener_;
  UniqueFd epoll_;
  std::map<ClientId, Client> clients_;
  ClientId last_id_ = 0;
  std::uint64_t now_ms_ = 0;  // Of dispatch().
  ClientId answering_ = 0;    // Whose lines are being looked at; 0: nobody's.
  std::vector<std::unique_ptr<ControlCommands>> commands_;
};

}  // namespace sni
