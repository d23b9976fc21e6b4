// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

namespace deepwell {

struct Sequence;
class Step;

/// What a drafter remembers of one sequence.
class DraftState {
 public:
  virtual ~DraftState() = default;
};

/// A sequence that may guess, and how many tokens at most.
struct DraftWish {
  Sequence* sequence;
  int most;
};

/// Guesses what sequences say next, for the model to verify in one pass. A guess changes speed alone: it may
/// be wrong, short or missing.
///
/// Threads   one, the engine's.
class Drafter {
 public:
  virtual ~Drafter() = default;
  /// Puts guesses into Sequence::guess, which is empty; the sequence's cache has room for them. Returns in
  /// how many rounds of the same cost; 0: this time tells nothing of another.
  virtual int draft(std::span<const DraftWish> wishes) = 0;
  /// After a pass, before its pages are shared.
  virtual void follow(const Step& /*step*/) {}
  /// The sequence waits for long: memory that can be filled again later goes.
  virtual void put_aside(Sequence& /*sequence*/) {}
};

}  // namespace deepwell
