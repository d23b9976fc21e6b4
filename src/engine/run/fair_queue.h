// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/run/sequence.h"

namespace deepwell {

/// Whose turn it is. Accounts that have work share the places of the batch evenly; between those that hold
/// equally many, the one that was served fewer tokens goes first. Within an account short work goes first,
/// but a token of length weighs less with every second of waiting, so that long work is not passed by
/// forever. Before all that comes the priority. What was put aside comes before what has not started.
///
/// Holds pointers only. Threads: none of its own; the caller locks.
class FairQueue {
 public:
  void add(Sequence* sequence);  ///< it waits; its rank is set when it never waited before
  void remove(Sequence* sequence);
  Sequence* best() const;  ///< whose turn it is among the waiting; nullptr: nobody waits
  int waiting() const { return waiting_; }

  void start(Sequence* sequence);  ///< removes it from the waiting and gives it a place
  void stop(Sequence* sequence);   ///< it runs no more
  void serve(const std::string& account, std::int64_t tokens);
  double served(const std::string& account) const;  ///< tokens, as they count for shares
  int running(const std::string& account) const;

  /// Whether `waiting` should have the place of `running`: its priority is higher, or its account would still
  /// hold no more places than the other's.
  bool may_displace(const Sequence& waiting, const Sequence& running) const;

  /// Whether the account of one that waits holds no place, and was served no more than any that does: what it
  /// gets now is but its share.
  bool is_owed(const Sequence& waiting) const;

  /// Plays on from now: `place_freed` says whose place becomes free next (a place nobody holds: nullptr), and
  /// each time the best of those that would then wait is told to `starts`. Ends when nobody waits.
  void play(const std::function<std::optional<std::string>()>& place_freed,
            const std::function<void(Sequence*)>& starts) const;

 private:
  /// By priority, then what was put aside, then rank.
  struct Sooner {
    bool operator()(const Sequence* a, const Sequence* b) const;
  };
  using Line = std::set<Sequence*, Sooner>;
  struct Account {
    Line waiting;
    int running = 0;
    double served = 0;
    bool active() const { return running > 0 || !waiting.empty(); }
  };
  /// How a choice between accounts is made; also used on copies, to play on.
  struct Claim {
    int priority, running;
    double served;
    auto operator<=>(const Claim&) const = default;
  };
  Account& wake(const std::string& name);
  void forget_idle();

  std::map<std::string, Account> accounts_;
  int waiting_ = 0;
};

}  // namespace deepwell
