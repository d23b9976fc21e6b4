// SPDX-License-Identifier: Apache-2.0
#include "engine/models/shared/output_head.h"

#include <cstring>

namespace deepwell {

Result<OutputHead> OutputHead::load(Loader& loader, std::int64_t vocabulary, std::int64_t width, float eps) {
  OutputHead head;
  DW_TRY(head.norm, loader.rms_norm("output_norm", width, eps));
  if (loader.has("output.weight")) {
    DW_TRY(head.matrix, loader.linear("output", vocabulary, width));
  } else {
    DW_TRY(head.matrix, loader.tied("token_embd", vocabulary, width));
  }
  return head;
}

void OutputHead::apply(float* x, std::int64_t n, float* logits, Context& context) const {
  if (n == 0) return;
  const ScratchScope scope(context.scratch);
  norm.apply(x, n, x, context);
  Input input(x, n, matrix.k(), matrix.k(), context);
  multiply(input, {{&matrix, logits, matrix.rows()}}, context);
}

void OutputHead::states(const float* x, std::int64_t n, float* y, Context& context) const {
  if (n > 0) norm.apply(x, n, y, context);
}

float* pick_rows(std::span<const std::int32_t> picked, const float* x, std::int64_t width, Scratch& scratch) {
  float* out = scratch.take<float>(static_cast<std::int64_t>(picked.size()) * width);
  for (std::size_t i = 0; i < picked.size(); ++i)
    std::memcpy(out + static_cast<std::int64_t>(i) * width, x + picked[i] * width,
                static_cast<std::size_t>(width) * sizeof(float));
  return out;
}

void finish_rows(const OutputHead& head, const Batch& batch, const float* x, std::int64_t width,
                 float* logits, Context& context) {
  const ScratchScope scope(context.scratch);
  head.states(pick_rows(batch.state_rows, x, width, context.scratch),
              static_cast<std::int64_t>(batch.state_rows.size()), batch.states, context);
  head.apply(pick_rows(batch.output_rows, x, width, context.scratch),
             static_cast<std::int64_t>(batch.output_rows.size()), logits, context);
}

std::int64_t vocabulary_of(const Loader& loader) {
  const FileTensor* const table = loader.file().find("token_embd.weight");
  return table == nullptr ? 0 : table->rows();
}

}  // namespace deepwell
