// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "engine/run/runner.h"
#include "engine/run/sequence.h"

namespace deepwell {

/// One forward pass over next tokens and pieces of prompts of many sequences, and the draw of a token for
/// each that has been read to its end. Guesses behind its last token are computed in the same pass; while the
/// token drawn is the one guessed, the next is drawn too: the same tokens as without guesses, in fewer
/// passes. Keeps its memory from step to step.
///
/// A wrong guess leaves entries in pages, which the next tokens overwrite. Where a sequence has a rolling
/// state, that is brought back to before the pass, and the tokens since then are computed again with the
/// next.
class Step {
 public:
  explicit Step(Runner& runner) : runner_(runner) {}

  void clear();
  /// The next `count` tokens of a sequence, and its guess, for all of which its cache has room.
  void add(Sequence& sequence, std::int64_t count);
  bool empty() const { return parts_.empty(); }
  /// Computes. Afterwards every sequence is `count` tokens further, and as many more as guesses came true;
  /// Sequence::outputs has the draws of those in drawn(), which are in Sequence::tokens too. An error leaves
  /// the caches of all in disorder.
  Status run();

  struct Part {
    Sequence* sequence;
    std::int64_t count, of_prompt;
    std::int64_t first_row, position;  ///< in the batch, and of that row's token
    std::int64_t right = 0;            ///< guesses that came true: rows after `count` that stand
  };
  const std::vector<Part>& parts() const { return parts_; }
  /// Of those with pooling, the ones whose prompt has been read to its end: their sum is complete.
  const std::vector<Sequence*>& pooled() const { return pooled_; }
  const std::vector<Sequence*>& drawn() const { return drawn_; }
  std::int64_t prompt_tokens() const { return prompt_tokens_; }
  std::int64_t rows() const { return static_cast<std::int64_t>(tokens_.size()); }
  /// (rows, Model::state_width()).
  const float* draft_states() const { return draft_states_.data(); }

 private:
  /// A sequence of which a token is drawn.
  struct Draw {
    std::size_t part, first_row;     // of the logits
    std::vector<std::byte> rolling;  // before the pass; empty where nothing need be brought back
  };
  void draw(Draw& draw);
  void verify(Sequence& sequence, std::size_t row);
  void pool();

  Runner& runner_;
  std::vector<Part> parts_;
  std::vector<Sequence*> drawn_, pooled_;
  std::vector<Draw> draws_;  // of drawn_; longer ones of earlier steps keep their memory
  std::int64_t prompt_tokens_ = 0;
  std::vector<std::int32_t> tokens_, positions_, output_rows_, state_rows_;
  std::vector<Sequence*> state_owners_;  // of each state row
  std::vector<BatchSequence> batch_;
  std::vector<float> logits_, states_, draft_states_;
};

}  // namespace deepwell
