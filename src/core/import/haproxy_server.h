#pragma once

// The servers of a haproxy backend.

#include "core/import/haproxy_document.h"
#include "core/import/import_draft.h"

namespace sni {

// Makes a pool from `server`, `default-server`, `balance`, `source` and similar lines of a section
// (backend or listen); other lines are left to the caller.
ImportPool haproxy_pool(const HaproxySection& section, ImportDraft& draft);

// Whether haproxy_pool() handles a line.
bool is_of_pool(const HaproxyLine& line);

}  // namespace sni
