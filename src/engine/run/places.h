// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "engine/run/cache_memory.h"
#include "engine/run/shared_state.h"
#include "engine/run/speculation.h"

namespace deepwell {

/// Who runs: there are so many places in a batch, and so many pages for all. Whose turn it is gets both, if
/// need be from one that runs and has the lesser claim; that one is put aside and keeps its pages until
/// somebody needs them.
///
/// Threads   one, the engine's.
class Places {
 public:
  Places(int parallel, SharedState& shared, CacheMemory& memory, Speculation& speculation)
      : parallel_(parallel), shared_(shared), memory_(memory), speculation_(speculation) {}

  /// In the order in which they took their places.
  const std::vector<Sequence*>& running() const { return running_; }
  bool runs(const Sequence& sequence) const;
  /// Who starts now; there are a place and pages for it. nullptr: nobody can.
  Sequence* next();
  /// Who may start now although a step is under way: one that is_owed() it, for whom neither pages nor
  /// anybody with a higher priority must wait. Its step does not disturb the other.
  Sequence* next_amid_step();
  /// Gives it the place. Its cache is still the caller's to open or to bring back.
  void take(Sequence& sequence);
  /// Pages for one that runs, up to `tokens` tokens in all. False: it was put aside itself.
  bool grow(Sequence& sequence, std::int64_t tokens);
  /// With the lock held: it is over, wherever it was.
  void leave(Sequence& sequence);

 private:
  Sequence* displaced_by(const Sequence& waiting) const;
  std::int64_t pages_needed(const Sequence& sequence) const;
  std::int64_t pages_needed_with(const Sequence& sequence) const;
  bool make_room(const Sequence& sequence);
  bool swap_out_one(const Sequence& except);
  void put_aside(Sequence& sequence);

  const int parallel_;
  SharedState& shared_;
  CacheMemory& memory_;
  Speculation& speculation_;
  std::vector<Sequence*> running_;
  std::vector<Sequence*> aside_;  // started, and now waiting again
};

}  // namespace deepwell
