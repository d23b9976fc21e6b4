// SPDX-License-Identifier: Apache-2.0
// config.json's rope_scaling, or transformers 5's rope_parameters, as GGUF says it.
#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "base/human.h"
#include "engine/checkpoint/row_sources.h"
#include "engine/checkpoint/translation.h"

namespace deepwell {
namespace {

Error unsupported(const Translation& t, std::string_view what) {
  return {ErrorCode::kUnsupported,
          fmt::format("{}: {} is not supported by this version", printable(t.config.path()), what)};
}

/// Llama 3's: by what each pair's frequency is divided. Slow turns by the factor, fast ones by 1.
std::vector<float> llama3_divisors(const ConfigJson& rope, double base, std::int64_t head_dim) {
  const double factor = rope.number("factor").value_or(8), low = rope.number("low_freq_factor").value_or(1),
               high = rope.number("high_freq_factor").value_or(4),
               original = rope.number("original_max_position_embeddings").value_or(8192);
  std::vector<float> divisors;
  for (std::int64_t i = 0; i < head_dim; i += 2) {
    const double wave =
        2 * std::numbers::pi * std::pow(base, static_cast<double>(i) / static_cast<double>(head_dim));
    const double smooth = (original / wave - low) / (high - low);
    const double divisor = wave < original / high  ? 1
                           : wave > original / low ? factor
                                                   : 1 / ((1 - smooth) / factor + smooth);
    divisors.push_back(static_cast<float>(divisor));
  }
  return divisors;
}

void copy_number(Translation& t, const ConfigJson& rope, const char* from, const char* to) {
  if (const auto value = rope.number(from)) t.set(to, *value);
}

Status set_yarn(Translation& t, const ConfigJson& rope, bool latent) {
  t.set("rope.scaling.type", std::string("yarn"));
  copy_number(t, rope, "factor", "rope.scaling.factor");
  const std::int64_t context = t.config.integer("max_position_embeddings").value_or(4096);
  t.set("rope.scaling.original_context_length",
        rope.integer("original_max_position_embeddings").value_or(context));
  copy_number(t, rope, "beta_fast", "rope.scaling.yarn_beta_fast");
  copy_number(t, rope, "beta_slow", "rope.scaling.yarn_beta_slow");
  if (!latent) return Done{};
  const double all = rope.number("mscale_all_dim").value_or(0), one = rope.number("mscale").value_or(1);
  // Their ratio would scale cosine and sine; it is 1 in every released model, and GGUF has no word for it.
  if (std::abs(one - all) > 1e-6)
    return unsupported(t, fmt::format("rope scaling with mscale {} and mscale_all_dim {}", one, all));
  t.set("rope.scaling.yarn_log_multiplier", 0.1 * all);
  return Done{};
}

}  // namespace

Status set_rope_scaling(Translation& t, std::int64_t head_dim, bool latent) {
  const bool new_style = t.config.has("rope_parameters");
  const ConfigJson rope = t.config.child(new_style ? "rope_parameters" : "rope_scaling");
  const double base = rope.number("rope_theta").value_or(t.config.number("rope_theta").value_or(10000.0));
  if (!(base > 1 && base < 1e15)) return unsupported(t, fmt::format("a rope_theta of {}", base));
  t.set("rope.freq_base", base);
  t.set("rope.dimension_count", head_dim);
  const std::string type = rope.text("rope_type").value_or(rope.text("type").value_or("default"));
  if (type == "default") return Done{};
  if (type == "yarn") return set_yarn(t, rope, latent);
  if (type == "linear") {
    t.set("rope.scaling.type", std::string("linear"));
    copy_number(t, rope, "factor", "rope.scaling.factor");
    return Done{};
  }
  if (type == "llama3" && head_dim <= 1024) {
    t.tensors.push_back(
        made::named(made::floats(llama3_divisors(rope, base, head_dim)), "rope_freqs.weight"));
    return Done{};
  }
  return unsupported(t, fmt::format("rope scaling of type '{}'", printable(type, 40)));
}

}  // namespace deepwell
