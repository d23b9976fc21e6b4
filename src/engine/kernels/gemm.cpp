// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/gemm.h"

#include <cctype>
#include <vector>

#include "base/half.h"

namespace deepwell {
namespace {

float tile_value(const ActivationTile& tile, std::int64_t i, int c) {
  switch (tile.kind) {
    case Activation::kF32:
      return tile.floats[i * tile.width + c];
    case Activation::kBf16: {
      const std::uint32_t pair = tile.bf16[i / 2 * tile.width + c];
      return bfloat_to_float(static_cast<std::uint16_t>(i % 2 == 0 ? pair & 0xffffU : pair >> 16));
    }
    default: {
      const std::int64_t run = tile.kind == Activation::kQ8x32 ? 32 : 256;
      const auto word = static_cast<std::uint32_t>(tile.steps[i / 4 * tile.width + c]);
      const auto step = static_cast<std::int8_t>(word >> (8 * (i % 4)) & 0xffU);
      return tile.scales[i / run * tile.width + c] * static_cast<float>(step);
    }
  }
}

}  // namespace

std::string Gemm::name(TypeId type) {
  std::string name = "gemm_" + std::string(type_info(type).name);
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

void gemm_reference(const GemmArgs& args) {
  const std::int64_t k = args.tile->k;
  std::vector<float> weights(static_cast<std::size_t>(k * kGroupRows));
  for (std::int64_t g = 0; g < args.group_count; ++g) {
    args.format->unpack(args.groups + g * args.format->group_bytes(k), k, weights.data());
    for (int r = 0; r < kGroupRows && g * kGroupRows + r < args.rows; ++r) {
      for (int c = 0; c < args.columns; ++c) {
        double sum = 0;
        for (std::int64_t i = 0; i < k; ++i)
          sum += static_cast<double>(weights[static_cast<std::size_t>(i * kGroupRows + r)]) *
                 static_cast<double>(tile_value(*args.tile, i, c));
        float& y = args.y[c * args.y_stride + g * kGroupRows + r];
        y = static_cast<float>(args.accumulate ? static_cast<double>(y) + sum : sum);
      }
    }
  }
}

}  // namespace deepwell
