#include "net/guard/admission.h"

#include <ctime>

#include <utility>

#include "core/limits.h"

namespace sni {

GuardTime guard_now() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<GuardTime>(now.tv_sec);
}

Admission::Admission() : list_(std::make_unique<GuardList>()), bans_(BanPolicy{}) {}

std::optional<Refusal> Admission::refuses(const IpAddress& source) const {
  const GuardTime now = guard_now();
  const std::shared_lock lock(mutex_);
  const GuardTerm term = list_->find(source);
  if (term.is_allowed(now)) return std::nullopt;
  if (term.is_blocked(now)) return Refusal::blocked;
  if (bans_.is_banned(source, now)) return Refusal::banned;
  if (!default_allow_) return Refusal::not_allowed;
  return std::nullopt;
}

void Admission::report(const IpAddress& source, Conduct conduct) {
  if (!is_watching()) return;
  const std::lock_guard lock(reports_mutex_);
  if (reports_.size() < limits::guard_reports_max) {
    reports_.push_back({.source = source, .conduct = conduct});
  } else {
    ++reports_lost_;
  }
}

std::unique_ptr<GuardList> Admission::adopt(std::unique_ptr<GuardList> list, bool default_allow) {
  const std::unique_lock lock(mutex_);
  default_allow_ = default_allow;
  return std::exchange(list_, std::move(list));
}

void Admission::commit(GuardList::Plan& plan) {
  const std::unique_lock lock(mutex_);
  list_->commit(plan);
}

void Admission::adopt(const BanPolicy& policy) {
  const std::unique_lock lock(mutex_);
  bans_.adopt(policy);
}

std::optional<Ban> Admission::ban(const IpAddress& source, GuardTime now) {
  const std::unique_lock lock(mutex_);
  return bans_.ban(source, now);
}

std::vector<IpPrefix> Admission::lift(const IpPrefix& prefix) {
  const std::unique_lock lock(mutex_);
  return bans_.lift(prefix);
}

std::vector<IpPrefix> Admission::expire_bans(GuardTime now) {
  const std::unique_lock lock(mutex_);
  return bans_.expire(now);
}

std::vector<Admission::Report> Admission::take_reports() {
  const std::lock_guard lock(reports_mutex_);
  return std::exchange(reports_, {});
}

std::uint64_t Admission::reports_lost() const {
  const std::lock_guard lock(reports_mutex_);
  return reports_lost_;
}

}  // namespace sni
