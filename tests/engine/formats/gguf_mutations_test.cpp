// SPDX-License-Identifier: Apache-2.0
// Goal: no change to a GGUF makes the reader crash, hang or hand out bytes it has not got.
// Method: seeded mutations of small models; each ends in an error within 2 s, or loads, and then every byte
// of every tensor is read (the sanitizers watch).
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "engine/formats/model_file.h"
#include "support/cpu_time.h"
#include "support/gguf_builder.h"
#include "support/temp_dir.h"

namespace deepwell {
namespace {

using testing_support::cpu_seconds;
using testing_support::GgufBuilder;
using testing_support::read_file;
using testing_support::TempDir;

GgufBuilder llama(std::uint32_t version) {
  GgufBuilder builder;
  builder.version = version;
  builder.set("general.architecture", "llama").set("llama.block_count", 1U).set("llama.rope.freq_base", 1e4F);
  builder.set("tokenizer.ggml.tokens",
              std::vector<std::string>{"a", "b", "<s>", "longer than a small string is"});
  builder.set("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 1, 3, 1}).set("flag", true);
  builder.random_tensor("token_embd.weight", {32, 4}, 1.0F, 1);
  builder.tensor("blk.0.attn_q.weight", {64, 2}, TypeId::kQ4_1, std::string(80, 'q'));
  builder.tensor("output_norm.weight", {32}, std::vector<float>(32, 1.0F));
  return builder;
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::string mutate(std::string bytes) {
    const std::size_t count = 1 + below(3);
    for (std::size_t i = 0; i < count && !bytes.empty(); ++i) mutate_once(bytes);
    return bytes;
  }

 private:
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_()) % n; }

  void mutate_once(std::string& bytes) {
    static constexpr std::uint64_t kBombs[] = {0,          1,          0x7F,       0xFF,       1ULL << 20,
                                               1ULL << 31, 0xFFFFFFFF, 1ULL << 40, 1ULL << 62, 1ULL << 63,
                                               ~0ULL,      ~0ULL - 31, 32};
    // Most of the header is what matters, so most mutations go there.
    const std::size_t range = below(4) == 0 ? bytes.size() : std::min<std::size_t>(bytes.size(), 700);
    const std::size_t at = below(range);
    switch (below(6)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        bytes.resize(at);
        break;
      case 2: {  // a count, length or offset
        const std::uint64_t bomb = kBombs[below(std::size(kBombs))];
        const std::size_t width = below(2) == 0 ? 4 : 8;
        if (at + width <= bytes.size()) std::memcpy(bytes.data() + at, &bomb, width);
        break;
      }
      case 3:
        bytes[at] = static_cast<char>(below(256));
        break;
      case 4:
        bytes.insert(at, bytes.substr(below(bytes.size()), 1 + below(64)));
        break;
      default:
        bytes.erase(at, 1 + below(16));
        break;
    }
  }

  std::mt19937_64 random_;
};

unsigned touch(const ModelFile& file) {
  unsigned sum = 0;
  for (const FileTensor& tensor : file.tensors()) {
    EXPECT_EQ(file.find(tensor.name), &tensor);
    for (const std::byte byte : tensor.bytes) sum += std::to_integer<unsigned>(byte);
  }
  return sum;
}

TEST(GgufMutations, EndInAnErrorOrLoad) {
  const TempDir temp;
  const std::string path = temp / "m.gguf";
  const std::string seeds[] = {llama(2).build(), llama(3).build()};
  int loaded = 0, refused = 0;
  unsigned sum = 0;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    temp.write("m.gguf", Mutator(seed).mutate(seeds[seed % 2]));
    const double start = cpu_seconds();
    const auto file = open_gguf(path);
    EXPECT_LT(cpu_seconds() - start, 5) << "seed " << seed;
    if (file.ok()) {
      sum += touch(**file);
      ++loaded;
    } else {
      EXPECT_TRUE(file.error().message.starts_with(path + ": "))
          << "seed " << seed << ": " << file.error().message;
      EXPECT_EQ(file.error().message.find('\n'), std::string::npos) << "seed " << seed;
      ++refused;
    }
  }
  // Both ends must have been reached often, or the mutations test nothing.
  EXPECT_GT(loaded, 100) << sum;
  EXPECT_GT(refused, 1000);
}

TEST(GgufMutations, SplitSetsEndInAnErrorOrLoad) {
  const TempDir temp;
  const auto paths = llama(3).write_split(temp / "m", 3);
  std::vector<std::string> parts;
  for (const std::string& path : paths) parts.push_back(read_file(path));
  int refused = 0;
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    const std::size_t which = seed % 3;
    const std::string name = std::filesystem::path(paths[which]).filename();
    temp.write(name, Mutator(seed).mutate(parts[which]));
    const auto file = open_gguf(paths[(seed / 3) % 3]);
    if (file.ok())
      touch(**file);
    else
      ++refused;
    temp.write(name, parts[which]);
  }
  EXPECT_GT(refused, 200);
}

TEST(GgufMutations, EveryTruncationIsRefused) {
  const TempDir temp;
  const std::string whole = llama(3).build();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto file = open_gguf(temp.write("m.gguf", whole.substr(0, size)));
    EXPECT_FALSE(file.ok()) << size << " of " << whole.size() << " bytes";
  }
}

}  // namespace
}  // namespace deepwell
