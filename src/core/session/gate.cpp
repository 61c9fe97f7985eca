#include "core/session/gate.h"

namespace sni {

Gate::Step Gate::start(bool quiet) {
  armed_ = quiet ? Armed::sleep : Armed::bytes;
  return quiet ? Step::arm_sleep : Step::arm_receive;
}

Gate::Step Gate::on(Outcome outcome, const Facts& facts) {
  if (outcome == Outcome::woken) return Step::again;
  if (facts.torn && outcome != Outcome::bytes && outcome != Outcome::hung_up) return Step::reset;
  switch (armed_) {
    case Armed::sleep:
      if (outcome != Outcome::hung_up) return Step::deliver;
      armed_ = Armed::bytes;
      return Step::arm_receive;
    case Armed::bytes:
      if (outcome == Outcome::fin) return at_end(facts);
      if (outcome != Outcome::nothing) return Step::deliver;
      armed_ = Armed::pause;
      return Step::arm_pause;
    case Armed::pause:
      return outcome == Outcome::time ? Step::again : Step::deliver;
    case Armed::end:
      return outcome == Outcome::time ? at_end(facts) : Step::deliver;
  }
  return Step::deliver;
}

Gate::Step Gate::at_end(const Facts& facts) {
  if (facts.pending) return Step::again;
  if (facts.drained) return Step::eof;
  armed_ = Armed::end;
  return Step::arm_pause;
}

}  // namespace sni
