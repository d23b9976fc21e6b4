// SPDX-License-Identifier: Apache-2.0
// Goal: factors that a file keeps beside its matrices (NVFP4 files do, one for each expert) are applied
// everywhere. Method: golden models with every half-precision matrix divided by powers of two, and those
// beside it: the logits stay the reference's.
#include <gtest/gtest.h>

#include <list>

#include "base/half.h"
#include "engine/formats/listed_model_file.h"
#include "support/golden_file.h"
#include "support/run_tokens.h"

namespace deepwell {
namespace {

using namespace testing_support;

/// A file with other tensors.
class Edited final : public ListedModelFile {
 public:
  explicit Edited(const ModelFile& file) : ListedModelFile(file.path()) {
    metadata_ = file.metadata();
    file_bytes_ = file.file_bytes();
    for (const FileTensor& tensor : file.tensors()) add(tensor);
  }
  using ListedModelFile::add;
  std::span<FileTensor> list() { return tensors_; }

  std::span<const std::byte> keep(std::vector<std::byte> bytes) {
    kept_.push_back(std::move(bytes));
    return kept_.back();
  }

 private:
  std::list<std::vector<std::byte>> kept_;
};

/// Divides each matrix of a stack by 1, 2, 4, 1, ..., and puts that beside it.
FileTensor divided(Edited& file, FileTensor& tensor) {
  const std::int64_t slabs = tensor.shape[2] * tensor.shape[3];
  const bool each = tensor.name.find("_exps") != std::string::npos;
  std::vector<std::byte> bytes(tensor.bytes.begin(), tensor.bytes.end());
  auto* const halves = reinterpret_cast<std::uint16_t*>(bytes.data());
  const std::size_t count = bytes.size() / 2, slab = count / static_cast<std::size_t>(slabs);
  std::vector<float> factors(each ? static_cast<std::size_t>(slabs) : 1);
  for (std::size_t i = 0; i < factors.size(); ++i) factors[i] = static_cast<float>(1 << ((i + 1) % 3));
  for (std::size_t i = 0; i < count; ++i)
    halves[i] = float_to_half(half_to_float(halves[i]) / factors[each ? i / slab : 0]);
  tensor.bytes = file.keep(std::move(bytes));
  FileTensor beside;
  beside.name = tensor.name.substr(0, tensor.name.size() - std::strlen("weight")) + "scale";
  beside.shape[0] = static_cast<std::int64_t>(factors.size());
  std::vector<std::byte> as_bytes(factors.size() * sizeof(float));
  std::memcpy(as_bytes.data(), factors.data(), as_bytes.size());
  beside.bytes = file.keep(std::move(as_bytes));
  return beside;
}

TEST(Factors, BesideAMatrixAreApplied) {
  for (const char* name : {"v3_61", "v2_lite_legacy_44", "qwen3moe_31", "v4_91", "llama_plain_1"}) {
    const auto file = open_gguf(golden_path(std::string("models/") + name + ".gguf"));
    ASSERT_TRUE(file.ok()) << file.error().message;
    const auto edited = std::make_shared<Edited>(**file);
    std::vector<FileTensor> more;
    for (FileTensor& tensor : edited->list())
      if (tensor.type == TypeId::kF16 && tensor.name.starts_with("blk.") && tensor.name.ends_with(".weight"))
        more.push_back(divided(*edited, tensor));
    ASSERT_GT(more.size(), 10U);
    for (const FileTensor& tensor : more) ASSERT_TRUE(edited->add(tensor));
    const auto tokens = golden_tokens(**file);
    const auto want = golden_floats(**file, "golden.logits");
    for (const bool exact : {true, false}) {
      auto runner = Runner::load(edited, {2, CacheType::kF32, exact, 1024});
      ASSERT_TRUE(runner.ok()) << runner.error().message;
      const auto got = run_tokens(**runner, tokens, 40);
      ASSERT_EQ(got.size(), want.size());
      double most = 0;
      for (std::size_t i = 0; i < got.size(); ++i)
        most = std::max(most, std::fabs(double{got[i]} - double{want[i]}));
      EXPECT_LE(most, 1e-3) << name;  // halves of small weights lose their last bit
    }
  }
}

TEST(Factors, ThatDoNotFitAreRefused) {
  const auto file = open_gguf(golden_path("models/v3_61.gguf"));
  ASSERT_TRUE(file.ok()) << file.error().message;
  for (const auto& [name, size] : {std::pair<std::string, std::size_t>{"blk.1.ffn_up_exps.scale", 3},
                                   {"blk.0.attn_output.scale", 2},
                                   {"token_embd.scale", 1}}) {
    const auto edited = std::make_shared<Edited>(**file);
    FileTensor beside;
    beside.name = name;
    beside.shape[0] = static_cast<std::int64_t>(size);
    beside.bytes = edited->keep(std::vector<std::byte>(size * sizeof(float)));
    ASSERT_TRUE(edited->add(beside));
    const auto runner = Runner::load(edited, {1, CacheType::kF32, true, 64});
    ASSERT_FALSE(runner.ok()) << name;
    EXPECT_NE(runner.error().message.find(name), std::string::npos) << runner.error().message;
  }
}

}  // namespace
}  // namespace deepwell
