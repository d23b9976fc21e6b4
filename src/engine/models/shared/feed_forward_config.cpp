// SPDX-License-Identifier: Apache-2.0
#include "engine/models/shared/feed_forward_config.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/models/shared/output_head.h"

namespace deepwell {
namespace {

constexpr std::int64_t kMostWidth = std::int64_t{1} << 22, kMostExperts = 1024;

Result<Router> read_router(Loader& loader, const std::string& block, std::int64_t index,
                           const Router& defaults) {
  Router router = defaults;
  DW_TRY(router.experts, loader.integer("expert_count", kMostExperts));
  DW_TRY(router.used, loader.integer("expert_used_count", router.experts));
  router.groups = loader.integer_or("expert_group_count", 1);
  router.groups_used = loader.integer_or("expert_group_used_count", router.groups);
  router.normalize =
      loader.file().metadata().flag(loader.key("expert_weights_norm")).value_or(defaults.normalize);
  DW_TRY(const double scale, loader.number("expert_weights_scale", 0, 1e6, 1.0));
  router.scale = static_cast<float>(scale);
  if (router.scale == 0) router.scale = 1;
  const std::int64_t gating = loader.integer_or("expert_gating_func", 0);
  if (gating == 1) router.score = Router::Score::kSoftmax;
  if (gating == 2) router.score = Router::Score::kSigmoid;
  if (gating == 4) router.score = Router::Score::kSqrtSoftplus;
  const bool groups_fit = router.groups >= 1 && router.experts % router.groups == 0 &&
                          router.groups_used >= 1 && router.groups_used <= router.groups &&
                          router.used <= router.experts / router.groups * router.groups_used;
  if (!groups_fit || gating == 3 || gating > 4)
    return Error{
        ErrorCode::kCorrupt,
        fmt::format("{}: {} of {} experts, {} of {} groups, gating {} do not fit together; the file was made "
                    "wrongly or for a newer version",
                    loader.file().path(), router.used, router.experts, router.groups_used, router.groups,
                    gating)};
  if (loader.has(block + "exp_probs_b.bias")) {
    DW_TRY(router.bias, loader.vector(block + "exp_probs_b.bias", router.experts));
  }
  if (index < loader.integer_or("hash_layer_count", 0)) {
    DW_TRY(router.table, loader.integers(block + "ffn_gate_tid2eid.weight", vocabulary_of(loader),
                                         router.used, router.experts));
  }
  return router;
}

/// A layer's limit of gate and up: the key holds one number, or one a layer; without it there is none.
Result<float> read_limit(const Loader& loader, std::string_view key, std::int64_t index, float otherwise) {
  const std::vector<double> limits = loader.file().metadata().numbers(loader.key(key));
  if (limits.empty()) return otherwise;
  const std::size_t at = limits.size() == 1 ? 0 : static_cast<std::size_t>(index);
  if (at >= limits.size() || !(limits[at] >= 0 && limits[at] <= 1e9))
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: '{}' has no usable number for layer {}; the file was made wrongly",
                             loader.file().path(), loader.key(key), index)};
  return static_cast<float>(limits[at]);
}

}  // namespace

Result<FeedForward> load_feed_forward(Loader& loader, const std::string& block, std::int64_t index,
                                      std::int64_t width, const Router& defaults) {
  FeedForward f;
  const bool routed = loader.has(block + "ffn_gate_inp.weight");
  if (!routed || index < loader.integer_or("leading_dense_block_count", 0)) {
    DW_TRY(const std::int64_t ffn, loader.integer("feed_forward_length", kMostWidth));
    DW_TRY(f.gate, loader.linear(block + "ffn_gate", ffn, width));
    DW_TRY(f.up, loader.linear(block + "ffn_up", ffn, width));
    DW_TRY(f.down, loader.linear(block + "ffn_down", width, ffn));
    return f;
  }
  DW_TRY(f.router, read_router(loader, block, index, defaults));
  DW_TRY(const std::int64_t ffn, loader.integer("expert_feed_forward_length", kMostWidth));
  DW_TRY(f.route, loader.linear(block + "ffn_gate_inp", f.router.experts, width));
  DW_TRY(PackedProduct gate, loader.experts(block + "ffn_gate_exps.weight", f.router.experts, ffn, width));
  DW_TRY(PackedProduct up, loader.experts(block + "ffn_up_exps.weight", f.router.experts, ffn, width));
  DW_TRY(PackedProduct down, loader.experts(block + "ffn_down_exps.weight", f.router.experts, width, ffn));
  DW_TRY(const float limit, read_limit(loader, "swiglu_clamp_exp", index, 0));
  f.experts = Experts(std::move(gate), std::move(up), std::move(down), limit);
  if (loader.store() != nullptr) f.experts.come_from(loader.store());
  if (loader.has(block + "ffn_gate_shexp.weight")) {
    // Nonsense becomes a shape that the tensors do not have.
    const std::int64_t shared =
        ffn * std::clamp<std::int64_t>(loader.integer_or("expert_shared_count", 1), 0, kMostExperts);
    DW_TRY(f.gate, loader.linear(block + "ffn_gate_shexp", shared, width));
    DW_TRY(f.up, loader.linear(block + "ffn_up_shexp", shared, width));
    DW_TRY(f.down, loader.linear(block + "ffn_down_shexp", width, shared));
    DW_TRY(f.limit, read_limit(loader, "swiglu_clamp_shexp", index, limit));
  }
  return f;
}

}  // namespace deepwell
