// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "engine/run/runner.h"
#include "engine/run/sequence.h"

namespace deepwell {

/// One forward pass over next tokens and pieces of prompts of many sequences, and the draw of a token for
/// each that has been read to its end. Keeps its memory from step to step.
class Step {
 public:
  explicit Step(Runner& runner) : runner_(runner) {}

  void clear();
  /// The next `count` tokens of a sequence whose cache has room for them.
  void add(Sequence& sequence, std::int64_t count);
  bool empty() const { return parts_.empty(); }
  /// Computes. Afterwards every sequence is `count` further, and Sequence::output is the draw of those in
  /// drawn(). An error leaves the caches of all in disorder.
  Status run();

  struct Part {
    Sequence* sequence;
    std::int64_t count, of_prompt;
  };
  const std::vector<Part>& parts() const { return parts_; }
  const std::vector<Sequence*>& drawn() const { return drawn_; }
  std::int64_t prompt_tokens() const { return prompt_tokens_; }

 private:
  Runner& runner_;
  std::vector<Part> parts_;
  std::vector<Sequence*> drawn_;
  std::int64_t prompt_tokens_ = 0;
  std::vector<std::int32_t> tokens_, positions_, output_rows_;
  std::vector<BatchSequence> batch_;
  std::vector<float> logits_;
};

}  // namespace deepwell
