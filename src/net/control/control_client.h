#pragma once

// The other end of the control socket (control_socket.h), for the command line.

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"

namespace sni {

// Sends one request to the proxy that listens at `path` and returns the "result" of its answer.
// Waits for it up to limits::control_answer_s.
Result<nlohmann::json> control_call(const std::string& path, nlohmann::json request);

// Sends a request that is answered by lines without end, and hands over each that follows the answer,
// until there are no more: the proxy has ended, or has cut us.
Result<void> control_follow(const std::string& path, nlohmann::json request,
                            const std::function<void(const nlohmann::json&)>& look);

}  // namespace sni
