// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "engine/nn/batch.h"
#include "engine/run/drafter.h"

namespace deepwell {

/// Drafts with a network that says one token at a time: a pass over what it has not seen of all sequences
/// together, then a pass for each token more, over what it said itself. Always the likeliest token: one drawn
/// at random comes true less often.
class ChainDrafter : public Drafter {
 public:
  int draft(std::span<const DraftWish> wishes) final;

 protected:
  /// `vocabulary`: tokens of the network's logits, of which the first `usable` may be said.
  ChainDrafter(std::int64_t vocabulary, std::int64_t usable) : vocabulary_(vocabulary), usable_(usable) {}

  /// Adds the rows that the network has not seen; false when they do not reach the sequence's end this time.
  virtual bool add_unseen(Sequence& sequence, int most) = 0;
  /// Adds a row for the last token of the guess, which was said by output number `output`.
  virtual void add_said(Sequence& sequence, std::size_t output) = 0;
  virtual Status compute(const Batch& batch, float* logits) = 0;

  void add_row(std::int32_t token, std::int64_t position);
  /// The rows added since the last call are of one sequence; `wanted`: the last has an output.
  void end_rows(const SequenceCache& cache, bool wanted);
  bool empty() const { return tokens_.empty(); }
  /// Computes the rows added, and forgets them.
  Status pass();

 private:
  std::int32_t likeliest(std::size_t output) const;

  const std::int64_t vocabulary_, usable_;
  std::vector<std::int32_t> tokens_, positions_, output_rows_;
  std::vector<BatchSequence> sequences_;
  std::vector<float> logits_;
  std::vector<DraftWish> active_, going_on_;
};

}  // namespace deepwell
