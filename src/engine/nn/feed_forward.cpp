// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/feed_forward.h"

namespace deepwell {

void FeedForward::add_to(const float* x, std::span<const std::int32_t> tokens, std::int64_t width, float* y,
                         Context& context) const {
  const ScratchScope scope(context.scratch);
  const auto rows = static_cast<std::int64_t>(tokens.size());
  Input input(x, rows, width, width, context);
  if (!gate.empty()) {
    const std::int64_t ffn = gate.rows();
    float* h = context.scratch.take<float>(rows * ffn);       // (rows, ffn)
    float* linear = context.scratch.take<float>(rows * ffn);  // (rows, ffn)
    multiply(input, {{&gate, h, ffn}, {&up, linear, ffn}}, context);
    swiglu(h, linear, limit, rows, ffn, h, context);
    Input hidden(h, rows, ffn, ffn, context);
    multiply(hidden, {{&down, y, width, /*accumulate=*/true}}, context);
  }
  if (route.empty()) return;
  float* logits = context.scratch.take<float>(rows * router.experts);  // (rows, experts)
  auto* ids = context.scratch.take<std::int32_t>(rows * router.used);  // (rows, used)
  float* weights = context.scratch.take<float>(rows * router.used);    // (rows, used)
  Context precise{context.pool, context.scratch, /*exact=*/true};  // a rounded logit could change the choice
  Input routed(x, rows, width, width, precise);
  multiply(routed, {{&route, logits, router.experts}}, precise);
  context.pool.run(rows, [&](std::int64_t row, int) {
    router.route(logits + row * router.experts, tokens[static_cast<std::size_t>(row)],
                 ids + row * router.used, weights + row * router.used);
  });
  experts.add_to(x, rows, {ids, weights, router.used}, y, context);
}

}  // namespace deepwell
