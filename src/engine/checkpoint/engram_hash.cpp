// SPDX-License-Identifier: Apache-2.0
#include "engine/checkpoint/engram_hash.h"

#include <array>
#include <limits>
#include <set>

#include "base/check.h"

namespace deepwell::engram_hash {
namespace {

// GCC and Clang have it; -Wpedantic only wants it marked.
__extension__ using Wide = unsigned __int128;

/// numpy's SeedSequence: four words that a seed is mixed into, and what is drawn from them.
class SeedSequence {
 public:
  explicit SeedSequence(std::uint64_t seed) {
    std::uint32_t constant = 0x43b0d7e5;
    const auto hash = [&](std::uint32_t value) {
      value ^= constant;
      constant *= 0x931e8875;
      value *= constant;
      return value ^ value >> 16;
    };
    pool_ = {hash(static_cast<std::uint32_t>(seed)), hash(static_cast<std::uint32_t>(seed >> 32)), hash(0),
             hash(0)};
    for (std::size_t from = 0; from < pool_.size(); ++from)
      for (std::size_t to = 0; to < pool_.size(); ++to) {
        if (from == to) continue;
        const std::uint32_t mixed = pool_[to] * 0xca01f9dd - hash(pool_[from]) * 0x4973f715;
        pool_[to] = mixed ^ mixed >> 16;
      }
  }
  std::array<std::uint64_t, 4> draw() const {
    std::array<std::uint64_t, 4> words{};
    std::uint32_t constant = 0x8b51f9dd;
    for (std::size_t i = 0; i < 8; ++i) {
      std::uint32_t value = pool_[i % pool_.size()] ^ constant;
      constant *= 0x58f38ded;
      value *= constant;
      words[i / 2] |= std::uint64_t{value ^ value >> 16} << i % 2 * 32;
    }
    return words;
  }

 private:
  std::array<std::uint32_t, 4> pool_{};
};

/// PCG XSL RR 128/64. Source: O'Neill 2014, "PCG: A Family of Simple Fast Space-Efficient Statistically Good
/// Algorithms for Random Number Generation"; seeded as numpy does.
class Pcg64 {
 public:
  explicit Pcg64(std::uint64_t seed) {
    const auto words = SeedSequence(seed).draw();
    increment_ = (Wide{words[2]} << 64 | words[3]) << 1 | 1;
    step();
    state_ += Wide{words[0]} << 64 | words[1];
    step();
  }
  std::uint64_t next() {
    step();
    const auto folded = static_cast<std::uint64_t>(state_ >> 64) ^ static_cast<std::uint64_t>(state_);
    const auto turn = static_cast<unsigned>(state_ >> 122);
    return folded >> turn | folded << (64 - turn) % 64;
  }
  /// Uniform in 0 .. bound - 1, as numpy draws it. Requires bound > 2^32. Source: Lemire 2019, "Fast Random
  /// Integer Generation in an Interval".
  std::uint64_t below(std::uint64_t bound) {
    Wide product = Wide{next()} * bound;
    const std::uint64_t threshold = (0 - bound) % bound;
    while (static_cast<std::uint64_t>(product) < threshold) product = Wide{next()} * bound;
    return static_cast<std::uint64_t>(product >> 64);
  }

 private:
  void step() {
    constexpr Wide kFactor = Wide{0x2360ED051FC65DA4} << 64 | 0x4385DF649FCCF645;
    state_ = state_ * kFactor + increment_;
  }
  Wide state_ = 0, increment_ = 0;
};

bool is_prime(std::int64_t n) {
  if (n % 2 == 0) return n == 2;
  for (std::int64_t d = 3; d * d <= n; d += 2)
    if (n % d == 0) return false;
  return n > 1;
}

}  // namespace

std::vector<std::int64_t> multipliers(std::int64_t layer, std::int64_t count, std::int64_t ids) {
  DW_CHECK(layer >= 0 && ids >= 1 && ids <= kMostIds);
  const std::int64_t bound = std::numeric_limits<std::int64_t>::max() / ids / 2;
  Pcg64 random(static_cast<std::uint64_t>(layer) * 10007);
  std::vector<std::int64_t> result;
  for (std::int64_t i = 0; i < count; ++i)
    result.push_back(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(bound))) * 2 + 1);
  return result;
}

std::vector<std::int64_t> primes(std::int64_t groups, std::int64_t heads, std::int64_t least) {
  std::set<std::int64_t> used;
  std::vector<std::int64_t> result;
  for (std::int64_t group = 0; group < groups; ++group) {
    std::int64_t prime = least - 1;
    for (std::int64_t head = 0; head < heads; ++head) {
      do ++prime;
      while (used.contains(prime) || !is_prime(prime));
      used.insert(prime);
      result.push_back(prime);
    }
  }
  return result;
}

}  // namespace deepwell::engram_hash
