// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/run/chain_drafter.h"
#include "engine/run/runner.h"

namespace deepwell {

/// Drafts with a smaller model of the same vocabulary. It has a cache of its own, in which each sequence
/// catches up when a draft is wanted: nothing that happens to the sequence meanwhile can disturb it.
class ModelDrafter final : public ChainDrafter {
 public:
  /// `vocabulary`: of the model that verifies.
  ModelDrafter(std::unique_ptr<Runner> runner, std::int64_t vocabulary);
  void put_aside(Sequence& sequence) override;

 private:
  bool add_unseen(Sequence& sequence, int most) override;
  void add_said(Sequence& sequence, std::size_t output) override;
  Status compute(const Batch& batch, float* logits) override;

  std::unique_ptr<Runner> runner_;
};

/// That two models have the same vocabulary: else guesses of one mean nothing to the other. Tokens that no
/// text has may differ, and be missing at the end. The error names the first difference.
Status check_same_vocabulary(const ModelFile& model, const ModelFile& drafting);

}  // namespace deepwell
