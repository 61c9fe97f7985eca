#pragma once

// What a backend of haproxy says of its servers.

#include "core/import/haproxy_document.h"
#include "core/import/import_draft.h"

namespace sni {

// Takes `server`, `default-server`, `balance`, `source` and the like of a section (backend or
// listen) into a pool; other lines are left.
ImportPool haproxy_pool(const HaproxySection& section, ImportDraft& draft);

// Whether haproxy_pool() has looked at a line.
bool is_of_pool(const HaproxyLine& line);

}  // namespace sni
