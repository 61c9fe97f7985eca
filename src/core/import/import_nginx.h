#pragma once

// nginx.conf: the servers of its stream block that route by ssl_preread.

#include <string_view>

#include "core/error.h"
#include "core/import/import_draft.h"

namespace sni {

Result<void> import_nginx(std::string_view text, ImportDraft& draft);

}  // namespace sni
