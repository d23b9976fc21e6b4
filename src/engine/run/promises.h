// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>

#include "engine/run/sequence.h"

namespace deepwell {

/// Places of a full queue promised to those who were sent away: who comes back when told is let in. The same
/// prompt of the same account is known again by its hash. A promise ends by itself: nobody has to come back.
class Promises {
 public:
  static std::uint64_t hash_of(const EngineRequest& request);

  /// How many are not over yet.
  std::int64_t outstanding(Clock::time_point now);
  void make(std::uint64_t request, Clock::time_point due, Clock::time_point now);
  /// When it may come; nothing when nothing was promised.
  std::optional<Clock::time_point> due(std::uint64_t request) const;
  void keep(std::uint64_t request);  ///< it came

 private:
  struct Promise {
    Clock::time_point due, over;
  };
  void forget_old(Clock::time_point now);
  std::unordered_map<std::uint64_t, Promise> promises_;
  std::multimap<Clock::time_point, std::uint64_t> ends_;
};

}  // namespace deepwell
