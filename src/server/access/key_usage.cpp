// SPDX-License-Identifier: Apache-2.0
#include "server/access/key_usage.h"

#include <fmt/format.h>

#include <algorithm>

namespace deepwell {

void MinuteBucket::recover(double per_minute, Time now) {
  if (now > at_) {
    const double seconds = std::chrono::duration<double>(now - at_).count();
    used_ = std::max(0.0, used_ - seconds * per_minute / 60);
    at_ = now;
  }
}

double MinuteBucket::take(double amount, double per_minute, Time now) {
  recover(per_minute, now);
  const double missing = used_ + std::min(amount, per_minute) - per_minute;
  if (missing > 1e-9) return missing * 60 / per_minute;
  used_ += amount;
  return 0;
}

double MinuteBucket::remaining(double per_minute, Time now) {
  recover(per_minute, now);
  return std::max(0.0, per_minute - used_);
}

double MinuteBucket::seconds_until_full(double per_minute, Time now) {
  recover(per_minute, now);
  return used_ * 60 / per_minute;
}

std::shared_ptr<KeyLease> KeyUsage::enter(const KeyLimits& limits, Time now,
                                          std::optional<Refusal>& refusal) {
  auto lease = std::make_shared<KeyLease>(shared_from_this(), limits);
  const std::lock_guard lock(mutex_);
  ++open_;  // the lease gives it back, also when it is refused here
  if (limits.parallel > 0 && open_ > limits.parallel) {
    // When one of them ends nobody knows; asking again costs little.
    refusal = Refusal{fmt::format("this key may have {} requests open at once", limits.parallel), 1};
  } else if (limits.requests_per_minute > 0) {
    const double wait = requests_.take(1, static_cast<double>(limits.requests_per_minute), now);
    if (wait > 0)
      refusal =
          Refusal{fmt::format("this key may send {} requests a minute", limits.requests_per_minute), wait};
  }
  return lease;
}

std::optional<KeyUsage::Refusal> KeyLease::reserve(std::int64_t tokens, Time now) {
  if (limits_.tokens_per_minute == 0) return std::nullopt;
  const std::lock_guard lock(usage_->mutex_);
  const auto limit = static_cast<double>(limits_.tokens_per_minute);
  const double wait = usage_->tokens_.take(static_cast<double>(tokens), limit, now);
  if (wait > 0)
    return KeyUsage::Refusal{fmt::format("this key may use {} tokens a minute, and this request may take {}",
                                         limits_.tokens_per_minute, tokens),
                             wait};
  reserved_ = tokens;
  return std::nullopt;
}

void KeyLease::settle(std::int64_t tokens, Time now) {
  if (limits_.tokens_per_minute == 0) return;
  const std::lock_guard lock(usage_->mutex_);
  const auto limit = static_cast<double>(limits_.tokens_per_minute);
  usage_->tokens_.remaining(limit, now);  // what came back meanwhile, before the difference
  usage_->tokens_.give_back(static_cast<double>(reserved_ - tokens));
  reserved_ = tokens;
}

void KeyLease::release() {
  const std::lock_guard lock(usage_->mutex_);
  if (std::exchange(released_, true)) return;
  --usage_->open_;
}

KeyUsage::Headroom KeyLease::headroom(Time now) const {
  KeyUsage::Headroom room{limits_};
  const std::lock_guard lock(usage_->mutex_);
  if (const auto limit = static_cast<double>(limits_.requests_per_minute); limit > 0) {
    room.requests_left = static_cast<std::int64_t>(usage_->requests_.remaining(limit, now));
    room.requests_reset_seconds = usage_->requests_.seconds_until_full(limit, now);
  }
  if (const auto limit = static_cast<double>(limits_.tokens_per_minute); limit > 0) {
    room.tokens_left = static_cast<std::int64_t>(usage_->tokens_.remaining(limit, now));
    room.tokens_reset_seconds = usage_->tokens_.seconds_until_full(limit, now);
  }
  return room;
}

std::shared_ptr<KeyUsage> KeyUsages::of(const std::string& id) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<KeyUsage>& usage = all_[id];
  if (!usage) usage = std::make_shared<KeyUsage>();
  return usage;
}

}  // namespace deepwell
