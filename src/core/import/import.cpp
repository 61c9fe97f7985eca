#include "core/import/import.h"

#include <algorithm>

#include "core/config/config_file.h"
#include "core/config/config_text.h"
#include "core/import/import_draft.h"
#include "core/import/import_haproxy.h"
#include "core/import/import_nginx.h"
#include "core/import/import_sniproxy.h"
#include "core/limits.h"

namespace sni {
namespace {

Result<void> draw(ImportFrom from, std::string_view text, ImportDraft& draft) {
  switch (from) {
    case ImportFrom::sniproxy:
      return import_sniproxy(text, draft);
    case ImportFrom::haproxy:
      return import_haproxy(text, draft);
    case ImportFrom::nginx:
      return import_nginx(text, draft);
  }
  return {};
}

}  // namespace

Result<Imported> import_config(ImportFrom from, std::string_view text) {
  if (text.size() > limits::import_bytes_max) {
    return fail("it is longer than " + std::to_string(limits::import_bytes_max >> 20) + " MiB");
  }
  ImportDraft draft;
  if (auto drawn = draw(from, text, draft); !drawn) return std::unexpected(drawn.error());
  Imported imported;
  const Config config = draft.finish(imported.notes);
  if (config.listeners.empty() || config.routes.empty()) {
    std::string why = "there is no ";
    why += config.listeners.empty() ? "listener" : "route by server name";
    for (const ImportNote& note : imported.notes) {
      why += '\n';
      if (note.line != 0) why += "line " + std::to_string(note.line) + ": ";
      why += note.text;
    }
    return fail(std::move(why));
  }
  imported.text = config_text(config, ConfigKeys::changed);
  for (const Diagnostic& each : read_config(imported.text, "").diagnostics) {
    if (each.severity == Severity::error) imported.mistakes.push_back(each.message);
  }
  return imported;
}

}  // namespace sni
