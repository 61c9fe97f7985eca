#pragma once

// The report as one page with plots. html_page.py draws it by matplotlib from the report's JSON; it
// stands beside this program in the build tree, and in ../share/sni-proxy once installed.

#include <string>
#include <string_view>

#include "core/error.h"

namespace sni::bench {

// Empty: there is none.
std::string find_page_script();
// Whether it can run here: asked before the run, and not after ten minutes.
Result<void> check_page_script(const std::string& script);
Result<void> write_html_page(const std::string& script, const std::string& json,
                             const std::string& file);
// A file in the directory of this program.
std::string beside(std::string_view name);

}  // namespace sni::bench
