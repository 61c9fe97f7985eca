#pragma once

// Theory of operation: a proxy that root has started becomes server.user before it opens anything and
// starts a thread, and keeps the capabilities that its listeners, the kernel fast path and XDP need.
// Everything that it does at a start it can therefore do at a reload too, and it is what it would be
// as a service with a user of its own.
//
// What only root can do is done before: the directories of its sockets and files, and a first access
// log, are made for the user where they are missing. What is there stays whose it is.

#include "core/error.h"
#include "net/server/loaded_config.h"

namespace sni {

// To be called while there is one thread, since each has capabilities of its own. Nothing happens
// where server.user is not set. What the operator should know is added to loaded.warnings.
Result<void> drop_privileges(LoadedConfig& loaded);

}  // namespace sni
