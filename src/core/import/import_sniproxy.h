#pragma once

// sniproxy.conf, the configuration of sniproxy (Debian's package of that name).

#include <string_view>

#include "core/error.h"
#include "core/import/import_draft.h"

namespace sni {

Result<void> import_sniproxy(std::string_view text, ImportDraft& draft);

}  // namespace sni
