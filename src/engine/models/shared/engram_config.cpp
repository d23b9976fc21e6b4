// SPDX-License-Identifier: Apache-2.0
#include "engine/models/shared/engram_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace deepwell {
namespace {

constexpr std::int64_t kMostTokens = 16, kMostHeads = 256, kMostElements = 1 << 16;

Error wrong(const Loader& loader, std::string_view key, std::string_view what) {
  return {ErrorCode::kCorrupt, fmt::format("{}: '{}' {}; the file was made wrongly: get another",
                                           loader.file().path(), loader.key(key), what)};
}

/// `count` numbers of lowest and more.
Result<std::vector<std::uint64_t>> numbers(const Loader& loader, std::string_view key, std::size_t count,
                                           std::int64_t lowest) {
  const std::vector<std::int64_t> values = loader.file().metadata().integers(loader.key(key));
  if (values.size() != count ||
      std::ranges::any_of(values, [=](std::int64_t value) { return value < lowest; }))
    return wrong(loader, key, fmt::format("is missing or not {} numbers of {} or more", count, lowest));
  return std::vector<std::uint64_t>(values.begin(), values.end());
}

Result<std::shared_ptr<const EngramTokens>> read_tokens(const Loader& loader, std::int64_t vocabulary) {
  const std::vector<std::int64_t> ids = loader.file().metadata().integers(loader.key("engram.token_map"));
  constexpr std::int64_t kMostIds = std::numeric_limits<std::int32_t>::max();
  const auto bad = [](std::int64_t id) { return id < 0 || id > kMostIds; };
  if (std::ssize(ids) < vocabulary || std::ranges::any_of(ids, bad))
    return wrong(loader, "engram.token_map",
                 fmt::format("is missing or not the ids of {} tokens", vocabulary));
  const std::int64_t pad = loader.integer_or("engram.pad_id", -1);
  if (bad(pad)) return wrong(loader, "engram.pad_id", "is missing or no id");
  auto tokens = std::make_shared<EngramTokens>();
  tokens->ids.reserve(ids.size());
  for (const std::int64_t id : ids) tokens->ids.push_back(static_cast<std::int32_t>(id));
  tokens->pad = static_cast<std::int32_t>(pad);
  return std::shared_ptr<const EngramTokens>(std::move(tokens));
}

/// The part of `index` of a list with as much for every layer.
std::vector<std::uint64_t> part_of(const std::vector<std::uint64_t>& all, std::size_t layers,
                                   std::size_t index) {
  const auto size = static_cast<std::ptrdiff_t>(all.size() / layers);
  const auto first = all.begin() + static_cast<std::ptrdiff_t>(index) * size;
  return {first, first + size};
}

}  // namespace

Result<EngramConfig> EngramConfig::read(const Loader& loader, std::int64_t layer_count,
                                        std::int64_t vocabulary) {
  EngramConfig config;
  config.layers = loader.file().metadata().integers(loader.key("engram.layer_ids"));
  if (config.layers.empty()) return config;
  std::int64_t last = -1;
  for (const std::int64_t layer : config.layers) {
    if (layer <= last || layer >= layer_count)
      return wrong(loader, "engram.layer_ids", fmt::format("is no ascending list of {} layers", layer_count));
    last = layer;
  }
  DW_TRY(config.length, loader.integer("engram.max_ngram_size", kMostTokens));
  if (config.length < 2) return wrong(loader, "engram.max_ngram_size", "is 1, not 2 or more");
  DW_TRY(config.heads, loader.integer("engram.head_count", kMostHeads));
  DW_TRY(config.key_length, loader.integer("engram.key_length", kMostElements));
  const std::size_t count = config.layers.size(), length = static_cast<std::size_t>(config.length);
  const std::size_t columns = (length - 1) * static_cast<std::size_t>(config.heads);
  // Files of a fork call it otherwise.
  const bool other = loader.file().metadata().has(loader.key("engram.hash_multipliers"));
  DW_TRY(config.multipliers,
         numbers(loader, other ? "engram.hash_multipliers" : "engram.multipliers", count * length, 0));
  DW_TRY(config.primes, numbers(loader, "engram.primes", count * columns, 1));
  DW_TRY(config.offsets, numbers(loader, "engram.offsets", count * columns, 0));
  for (std::size_t i = 0; i < config.primes.size(); ++i)
    if (std::max(config.primes[i], config.offsets[i]) > std::numeric_limits<std::int32_t>::max() / 2)
      return wrong(loader, "engram.primes", "and its offsets reach further than any table");
  DW_TRY(config.tokens, read_tokens(loader, vocabulary));
  return config;
}

bool EngramConfig::has(std::int64_t layer) const {
  return std::binary_search(layers.begin(), layers.end(), layer);
}

Result<Engram> EngramConfig::load(Loader& loader, std::int64_t layer, std::int64_t streams,
                                  std::int64_t width, float eps) const {
  DW_CHECK(has(layer));
  const auto index = static_cast<std::size_t>(std::ranges::find(layers, layer) - layers.begin());
  const std::string block = fmt::format("blk.{}.engram_", layer);
  Engram engram;
  engram.length = length;
  engram.heads = heads;
  engram.streams = streams;
  engram.width = width;
  engram.eps = eps;
  engram.tokens = tokens;
  engram.multipliers = part_of(multipliers, layers.size(), index);
  engram.primes = part_of(primes, layers.size(), index);
  engram.offsets = part_of(offsets, layers.size(), index);
  std::uint64_t rows = 0;
  for (std::size_t i = 0; i < engram.primes.size(); ++i)
    rows = std::max(rows, engram.primes[i] + engram.offsets[i]);
  DW_TRY(engram.table, loader.table(block + "embd", static_cast<std::int64_t>(rows), key_length));
  DW_TRY(engram.key_value,
         loader.linear(block + "wkv", (streams + 1) * width, engram.columns() * key_length));
  DW_TRY(engram.agreement, loader.floats(block + "q.weight", streams, width));
  DW_TRY(const std::vector<float> keys, loader.floats(block + "k.weight", streams, width));
  for (std::size_t i = 0; i < keys.size(); ++i) engram.agreement[i] *= keys[i];
  return engram;
}

}  // namespace deepwell
