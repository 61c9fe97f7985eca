#pragma once

// haproxy.cfg: routing by server name (mode tcp, req_ssl_sni) or by Host.

#include <string_view>

#include "core/error.h"
#include "core/import/import_draft.h"

namespace sni {

Result<void> import_haproxy(std::string_view text, ImportDraft& draft);

}  // namespace sni
