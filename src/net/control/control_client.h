#pragma once

// The client of the control socket (control_socket.h), for the command line.

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"

namespace sni {

// Sends one request to the proxy that listens at `path` and returns the "result" of its answer.
// Waits for it up to limits::control_answer_s.
Result<nlohmann::json> control_call(const std::string& path, nlohmann::json request);

// Sends a request whose answer is followed by a stream of lines, and passes each line on until the
// proxy ends or disconnects us.
Result<void> control_follow(const std::string& path, nlohmann::json request,
                            const std::function<void(const nlohmann::json&)>& look);

}  // namespace sni
