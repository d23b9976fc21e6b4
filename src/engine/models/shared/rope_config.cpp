// SPDX-License-Identifier: Apache-2.0
#include "engine/models/shared/rope_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/human.h"

namespace deepwell {
namespace {

/// Frequencies that no rotation could use: a file can ask for any numbers, and a NaN would spread to all it
/// says.
Status check_frequencies(const Loader& loader, const std::vector<double>& frequencies) {
  constexpr double kMost = 1e6;  // radians per token; real ones are at most 1
  for (std::size_t i = 0; i < frequencies.size(); ++i)
    if (!(frequencies[i] >= 0.0 && frequencies[i] <= kMost))
      return Error{ErrorCode::kCorrupt,
                   fmt::format("{}: rope frequency {} comes out as {}; rope.scaling.* or rope_freqs.weight "
                               "makes no sense: the file was made wrongly, get another",
                               loader.file().path(), i, frequencies[i])};
  return Done{};
}

}  // namespace

std::vector<double> yarn_frequencies(std::int64_t pairs, double base, double factor, double original_context,
                                     double beta_fast, double beta_slow) {
  const auto width = static_cast<double>(2 * pairs);
  const auto correction = [&](double rotations) {
    return width * std::log(original_context / (rotations * 2 * std::numbers::pi)) / (2 * std::log(base));
  };
  const double low = std::max(std::floor(correction(beta_fast)), 0.0);
  const double high = std::min(std::ceil(correction(beta_slow)), width - 1);
  std::vector<double> frequencies;
  for (std::int64_t i = 0; i < pairs; ++i) {
    const double plain = std::pow(base, -2.0 * static_cast<double>(i) / width);
    const double ramp = std::clamp((static_cast<double>(i) - low) / std::max(high - low, 0.001), 0.0, 1.0);
    frequencies.push_back(plain / factor * ramp + plain * (1 - ramp));
  }
  return frequencies;
}

Result<Rope> read_rope(Loader& loader, RopeLayout layout, std::int64_t pairs, const RopeReading& how) {
  const double base = loader.number_or(how.base, 10000.0);
  const double factor = loader.number_or("rope.scaling.factor", 1.0);
  const std::string type =
      how.scaling ? loader.file().metadata().text(loader.key("rope.scaling.type")).value_or("linear")
                  : "none";
  if (!(base > 1.0) || !(factor > 0.0) || !std::isfinite(base) || !std::isfinite(factor))
    return Error{ErrorCode::kCorrupt, fmt::format("{}: {} {} or rope.scaling.factor {} makes no sense; the "
                                                  "file was made wrongly",
                                                  loader.file().path(), how.base, base, factor)};
  std::vector<double> frequencies;
  float magnitude = 1;
  if (type == "yarn") {
    const double original =
        loader.number_or("rope.scaling.original_context_length", loader.number_or("context_length", 4096));
    frequencies =
        yarn_frequencies(pairs, base, factor, original, loader.number_or("rope.scaling.yarn_beta_fast", 32),
                         loader.number_or("rope.scaling.yarn_beta_slow", 1));
    // Whatever attention factor a file states, other engines end at this magnitude; so do we.
    if (factor > 1 && how.yarn_magnitude) magnitude = static_cast<float>(0.1 * std::log(factor) + 1);
  } else if (type == "linear" || type == "none") {
    for (std::int64_t i = 0; i < pairs; ++i)
      frequencies.push_back(std::pow(base, -static_cast<double>(i) / static_cast<double>(pairs)) /
                            (type == "linear" ? factor : 1.0));
  } else {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{}: rope scaling of type '{}' is not supported by this version",
                             loader.file().path(), printable(type, 64))};
  }
  if (loader.has("rope_freqs.weight")) {
    DW_TRY(const std::vector<float> divisors, loader.vector("rope_freqs.weight", pairs));
    for (std::size_t i = 0; i < divisors.size(); ++i) frequencies[i] /= double{divisors[i]};
  }
  DW_RETURN_IF_ERROR(check_frequencies(loader, frequencies));
  return Rope(layout, std::move(frequencies), magnitude);
}

}  // namespace deepwell
