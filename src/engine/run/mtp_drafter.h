// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/run/chain_drafter.h"
#include "engine/run/runner.h"

namespace deepwell {

/// Drafts with the model's own layer for that (multi-token prediction): it goes on from what the model
/// thought of the last token it read and the token drawn then. Its part of the cache is in the sequence's own
/// pages.
///
/// What the model thought of the latest tokens is kept until a draft is wanted or the page that they stand in
/// is complete, and may be others' next: then the layer reads them, too.
class MtpDrafter final : public ChainDrafter {
 public:
  /// Requires that the model's state_width() > 0.
  explicit MtpDrafter(Runner& runner);
  void follow(const Step& step) override;

 private:
  bool add_unseen(Sequence& sequence, int most) override;
  void add_said(Sequence& sequence, std::size_t output) override;
  Status compute(const Batch& batch, float* logits) override;
  void add_kept(Sequence& sequence);
  void add_rows(Sequence& sequence, bool wanted);

  Runner& runner_;
  const std::size_t width_;
  std::vector<float> states_, next_;  // of the rows added; of the last pass's outputs
};

}  // namespace deepwell
