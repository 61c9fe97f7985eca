#pragma once

// The control socket: a UNIX socket of mode 0600 on which a running proxy takes commands.
//
// A request is one line of JSON and gets one line back:
//
//   {"version": 1, "command": "block", "prefix": "192.0.2.0/24"}
//   {"version": 1, "ok": true, "result": {...}}     or     {"version": 1, "ok": false, "error":
//   "..."}
//
// The main thread serves it between other things and never waits for a client: what a client does
// not read stays queued, and until then none of its further requests is read.

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/control/control_message.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

// Some of the commands that a proxy takes.
class ControlCommands {
 public:
  virtual ~ControlCommands() = default;
  // The "result" of an answer; nullopt: it is none of these commands. `request` has all members,
  // command and version among them.
  virtual std::optional<Result<nlohmann::json>> run(std::string_view command,
                                                    const nlohmann::json& request) = 0;
};

class ControlServer {
 public:
  // Makes the last directory of the path where it is missing, and takes the place of a socket that
  // nobody listens on any more.
  static Result<std::unique_ptr<ControlServer>> listen(const std::string& path);
  ~ControlServer();

  void add(std::unique_ptr<ControlCommands> commands) { commands_.push_back(std::move(commands)); }
  // Readable when there is something to dispatch().
  int fd() const { return epoll_.get(); }
  void dispatch();

 private:
  struct Client {
    UniqueFd fd;
    std::string input;    // Less than a line.
    std::string output;   // What is not written yet.
    bool ending = false;  // To be closed once the output is written.
    std::uint64_t order = 0;
  };

  explicit ControlServer(std::string path) : path_(std::move(path)) {}
  Result<void> open();
  void accept_clients();
  void make_room();
  bool serve(Client& client);
  bool receive(Client& client);
  void answer_lines(Client& client);
  bool flush(Client& client);
  std::string answer(std::string_view line) const;

  std::string path_;
  UniqueFd listener_;
  UniqueFd epoll_;
  std::map<int, Client> clients_;
  std::uint64_t accepted_ = 0;
  std::vector<std::unique_ptr<ControlCommands>> commands_;
};

// Sends one request to the proxy that listens at `path` and returns the "result" of its answer.
Result<nlohmann::json> control_call(const std::string& path, nlohmann::json request);

}  // namespace sni
