#pragma once

// Theory of operation: a proxy started by root switches to server.user before it opens anything or
// starts a thread, and keeps the capabilities that its listeners, the kernel fast path and XDP
// need. So everything that works at a start also works at a reload, and the process runs as it
// would in a service with a user of its own.
//
// Steps that need root come first: missing directories of its sockets and files, and a missing
// access log, are made for the user. Existing ones keep their owner.

#include "core/error.h"
#include "net/server/loaded_config.h"

namespace sni {

// To be called while there is one thread, since each thread has its own capabilities. Does nothing
// if server.user is not set. Adds to loaded.warnings what the operator should know.
Result<void> drop_privileges(LoadedConfig& loaded);

}  // namespace sni
