#include "bench/report.h"
namespace sni::bench {
std::string html_report(const Report&) { return {}; }
}
