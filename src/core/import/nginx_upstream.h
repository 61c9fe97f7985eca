#pragma once

// nginx's `upstream` blocks.

#include "core/import/brace_document.h"
#include "core/import/import_draft.h"

namespace sni {

ImportPool nginx_upstream(const Directive& upstream, ImportDraft& draft);

}  // namespace sni
