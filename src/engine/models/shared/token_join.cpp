// SPDX-License-Identifier: Apache-2.0
#include "engine/models/shared/token_join.h"

#include <algorithm>

namespace deepwell {

Result<TokenJoin> TokenJoin::load(Loader& loader, const std::string& block, std::int64_t width, float eps) {
  TokenJoin t;
  const std::string own = block + "nextn.";
  DW_TRY(t.token_norm, loader.rms_norm(own + "enorm", width, eps));
  DW_TRY(t.state_norm, loader.rms_norm(own + "hnorm", width, eps));
  const bool has_end = loader.has(own + "shared_head_norm.weight");
  DW_TRY(t.end_norm, loader.rms_norm(has_end ? own + "shared_head_norm" : "output_norm", width, eps));
  DW_TRY(t.join, loader.linear(own + "eh_proj", width, 2 * width));
  return t;
}

void TokenJoin::apply(const Embedding& table, const Batch& batch, const float* states, std::int64_t streams,
                      float* x, Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t rows = batch.rows(), width = table.width();
  float* token = context.scratch.take<float>(rows * width);               // (rows, width)
  float* state = context.scratch.take<float>(rows * streams * width);     // (rows, streams, width)
  float* both = context.scratch.take<float>(rows * streams * 2 * width);  // (rows, streams, 2 * width)
  table.lookup(batch.tokens, token, context);
  token_norm.apply(token, rows, token, context);
  state_norm.apply(states, rows * streams, state, context);
  context.pool.run(rows * streams, [&](std::int64_t i, int) {
    std::copy_n(token + i / streams * width, width, both + i * 2 * width);
    std::copy_n(state + i * width, width, both + i * 2 * width + width);
  });
  Input input(both, rows * streams, 2 * width, 2 * width, context);
  multiply(input, {{&join, x, width}}, context);
}

void TokenJoin::end(const OutputHead& head, const float* x, std::int64_t n, float* normed, float* logits,
                    Context& context) const {
  if (n == 0) return;
  const ScratchScope scope(context.scratch);
  end_norm.apply(x, n, normed, context);
  Input input(normed, n, head.matrix.k(), head.matrix.k(), context);
  multiply(input, {{&head.matrix, logits, head.matrix.rows()}}, context);
}

}  // namespace deepwell
