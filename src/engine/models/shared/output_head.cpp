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

float* pick_output_rows(const Batch& batch, const float* x, std::int64_t width, Scratch& scratch) {
  const auto count = static_cast<std::int64_t>(batch.output_rows.size());
  float* picked = scratch.take<float>(count * width);
  for (std::int64_t i = 0; i < count; ++i)
    std::memcpy(picked + i * width, x + batch.output_rows[static_cast<std::size_t>(i)] * width,
                static_cast<std::size_t>(width) * sizeof(float));
  return picked;
}

std::int64_t vocabulary_of(const Loader& loader) {
  const FileTensor* const table = loader.file().find("token_embd.weight");
  return table == nullptr ? 0 : table->rows();
}

}  // namespace deepwell
