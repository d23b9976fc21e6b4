// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "server/access/api_keys.h"

namespace deepwell {

/// What was used of so much a minute: it comes back evenly, the limit is what may be used at once.
class MinuteBucket {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// Takes `amount` and returns 0, or takes nothing and returns the seconds after which it would fit. What
  /// never fits (more than the limit) is taken when all is there, and the debt is waited off by those after.
  double take(double amount, double per_minute, Time now);
  void give_back(double amount) { used_ = used_ > amount ? used_ - amount : 0; }
  double remaining(double per_minute, Time now);           ///< at least 0
  double seconds_until_full(double per_minute, Time now);  ///< until all may be used again

 private:
  void recover(double per_minute, Time now);
  double used_ = 0;
  Time at_{};
};

class KeyLease;

/// What one key has used. Thread-safe; time is the caller's, so that tests need not wait.
class KeyUsage : public std::enable_shared_from_this<KeyUsage> {
 public:
  using Time = MinuteBucket::Time;
  struct Refusal {
    std::string message;
    double retry_seconds;
  };
  /// Enters a request, or says why not.
  std::shared_ptr<KeyLease> enter(const KeyLimits& limits, Time now, std::optional<Refusal>& refusal);

  struct Headroom {
    KeyLimits limits;
    std::int64_t requests_left = 0, tokens_left = 0;  ///< of those limited
    double requests_reset_seconds = 0, tokens_reset_seconds = 0;
  };

 private:
  friend class KeyLease;
  std::mutex mutex_;
  MinuteBucket requests_, tokens_;
  std::int64_t open_ = 0;
};

/// A request's share of its key's limits; lets go of it in the end. Thread-safe.
class KeyLease {
 public:
  using Time = MinuteBucket::Time;
  KeyLease(std::shared_ptr<KeyUsage> usage, KeyLimits limits) : usage_(std::move(usage)), limits_(limits) {}
  ~KeyLease() { release(); }
  KeyLease(const KeyLease&) = delete;
  KeyLease& operator=(const KeyLease&) = delete;

  /// Sets so many tokens aside before any is computed. Once.
  std::optional<KeyUsage::Refusal> reserve(std::int64_t tokens, Time now);
  /// What it came to in truth.
  void settle(std::int64_t tokens, Time now);
  /// The request no longer counts as open. Called before its last byte leaves, so that a client that sends
  /// the next one at once finds room.
  void release();
  KeyUsage::Headroom headroom(Time now) const;

 private:
  std::shared_ptr<KeyUsage> usage_;
  const KeyLimits limits_;
  std::int64_t reserved_ = 0;  // usage_'s mutex guards these, too
  bool released_ = false;
};

/// The usage of every key, by its id; outlives changes of the file of keys.
class KeyUsages {
 public:
  std::shared_ptr<KeyUsage> of(const std::string& id);

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<KeyUsage>> all_;
};

}  // namespace deepwell
