#pragma once

// The other end of the control socket (control_socket.h), for the command line.

#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"

namespace sni {

// Sends one request to the proxy that listens at `path` and returns the "result" of its answer.
// Waits for it up to limits::control_answer_s.
Result<nlohmann::json> control_call(const std::string& path, nlohmann::json request);

}  // namespace sni
