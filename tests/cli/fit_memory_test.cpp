// SPDX-License-Identifier: Apache-2.0
// Goal: what `fit` says of memory is within 5 % of what a loaded model with a full context takes, for every
// architecture; and released models are known without their files.
// Method: models of real proportions and a tenth of the size, all weights zero and nowhere on disk, loaded
// and fed a prompt as long as their context; the system says how much memory that took.
#include "engine/run/fit_estimate.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <fstream>
#include <numeric>

#include "cli/known_models.h"
#include "engine/formats/listed_model_file.h"
#include "engine/run/fit_work.h"
#include "engine/run/mtp_drafter.h"
#include "engine/run/runner.h"
#include "engine/run/sequence.h"
#include "engine/run/step.h"

#ifdef __SANITIZE_ADDRESS__
extern "C" void __sanitizer_purge_allocator();
#endif

namespace deepwell {
namespace {

/// A header with zeros for weights: one stretch of memory that all tensors share, and that takes none.
class Zeros final : public ListedModelFile {
 public:
  explicit Zeros(const ModelFile& header) : ListedModelFile(header.path()) {
    metadata_ = header.metadata();
    for (const FileTensor& tensor : header.tensors()) add(tensor);
    metadata_.values["tokenizer.ggml.model"] = std::string("none");
    for (const FileTensor& tensor : tensors_)
      size_ = std::max(size_, static_cast<std::size_t>(tensor.data_bytes()));
    memory_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    DW_CHECK(memory_ != MAP_FAILED);
    for (FileTensor& tensor : tensors_)
      tensor.bytes = {static_cast<const std::byte*>(memory_), static_cast<std::size_t>(tensor.data_bytes())};
  }
  ~Zeros() override { ::munmap(memory_, size_); }

 private:
  std::size_t size_ = 1;
  void* memory_ = nullptr;
};

std::int64_t memory_of_this_process() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_purge_allocator();  // it keeps what was freed, to see later uses
#endif
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "RssAnon:") {
      std::int64_t kib = 0;
      status >> kib;
      return kib * 1024;
    }
  return 0;
}

class Nowhere final : public TokenSink {
  bool on_token(const TokenOutput& /*output*/) override { return true; }
  void on_finish(const FinishInfo& /*info*/) override {}
};

/// Reads a prompt as the scheduler has it read, with the layer that drafts where the model has one; the
/// memory of this process then.
Result<std::int64_t> feed(Runner& runner, std::int64_t tokens) {
  EngineRequest request;
  request.prompt.resize(static_cast<std::size_t>(tokens));
  std::iota(request.prompt.begin(), request.prompt.end(), 0);
  Sequence sequence(std::move(request), std::make_shared<Nowhere>());
  sequence.cache.emplace(runner.cache());
  sequence.cache->grow(tokens);
  Step step(runner);
  std::optional<MtpDrafter> drafter;
  if (runner.model().state_width() > 0) drafter.emplace(runner);
  while (sequence.done < tokens) {
    step.clear();
    step.add(sequence, std::min<std::int64_t>(EngineOptions{}.prefill_chunk, tokens - sequence.done));
    DW_RETURN_IF_ERROR(step.run());
    if (drafter) drafter->follow(step);
  }
  return memory_of_this_process();
}

struct Case {
  ModelDimensions model;
  TypeId type;
  CacheType cache = CacheType::kF16;
};

class FitMemory : public testing::TestWithParam<Case> {};

TEST_P(FitMemory, IsWithinFivePercentOfWhatItTakes) {
  const Case& c = GetParam();
  const auto file = std::make_shared<const Zeros>(*model_header(c.model, c.type, false, "zeros"));
  const std::int64_t context = c.model.context;
  const auto needs = count_needs(*file, {context, 1, c.cache});
  ASSERT_TRUE(needs.ok()) << needs.error().message;
  ASSERT_EQ(needs->obstacle, "");
  const std::int64_t said = needs->total_bytes() - needs->table_bytes - kProgramBytes;
  ::malloc_trim(0);  // what was freed before must not be taken again unseen
  const std::int64_t before = memory_of_this_process();
  if (before == 0) GTEST_SKIP() << "this system does not say how much memory a process has";
  RunnerOptions options{2, c.cache, false, context};
  options.drafting = true;
  auto runner = Runner::load(file, options);
  ASSERT_TRUE(runner.ok()) << runner.error().message;
  (*runner)->pack_rest();  // while weights are still packed, a buffer of each thread comes on top
  EXPECT_EQ((*runner)->model().state_width() > 0, c.model.drafting > 0);
  EXPECT_EQ(needs->drafting_bytes > 0, c.model.drafting > 0);
  const Result<std::int64_t> after = feed(**runner, context);
  ASSERT_TRUE(after.ok()) << after.error().message;
  const std::int64_t taken = *after - before;
  EXPECT_NEAR(static_cast<double>(said) / static_cast<double>(taken), 1.0, 0.05)
      << "said " << said << " (weights " << needs->packed_bytes + needs->vector_bytes << ", cache "
      << needs->cache_bytes << ", work " << needs->work_bytes - kProgramBytes << "), took " << taken;
}

INSTANTIATE_TEST_SUITE_P(
    EveryArchitecture, FitMemory,
    testing::Values(
        Case{{"v2_lite", "deepseek2", 3, 1024, 8, 0, 4096, 4096, 1024, 1, 32, 6, 2, 512}, TypeId::kQ4_K},
        Case{{"v3", "deepseek2", 3, 1024, 16, 512, 4096, 4096, 1024, 1, 32, 8, 1, 512}, TypeId::kQ8_0},
        Case{{"v3_q8", "deepseek2", 3, 1024, 16, 512, 4096, 4096, 1024, 1, 32, 8, 1, 512},
             TypeId::kQ8_0,
             CacheType::kQ8},
        Case{{"v3_mtp", "deepseek2", 3, 1024, 16, 512, 4096, 4096, 1024, 1, 32, 8, 1, 512, 0, 0, 0, 1},
             TypeId::kQ8_0},
        Case{{"v4_mtp", "deepseek4", 4, 1024, 8, 512, 0, 4096, 1024, 0, 32, 6, 1, 512, 64, 4, 0, 1},
             TypeId::kMXFP4},
        Case{{"v32_mtp", "deepseek32", 2, 1024, 16, 512, 4096, 4096, 1024, 1, 48, 8, 1, 512, 256, 0, 0, 1},
             TypeId::kQ8_0},
        Case{{"v32", "deepseek32", 2, 1024, 16, 512, 4096, 4096, 1024, 1, 48, 8, 1, 512, 256}, TypeId::kQ8_0},
        Case{{"v4", "deepseek4", 4, 1024, 8, 512, 0, 4096, 1024, 0, 32, 6, 1, 512, 64, 4}, TypeId::kMXFP4},
        Case{{"qwen2", "qwen2", 6, 1024, 8, 0, 4096, 4096, 2048, 0, 0, 0, 0, 0, 0, 0, 2}, TypeId::kQ4_K},
        Case{{"llama", "llama", 6, 1024, 8, 0, 4096, 4096, 2048, 0, 0, 0, 0, 0, 0, 0, 2}, TypeId::kF16}),
    [](const auto& test) { return std::string(test.param.model.name); });

// Parameters as published: 15.7 B, 236 B, 671 B, 284 B, 1573 B; the distills' are in their names.
TEST(KnownModels, HaveAsManyParametersAsPublished) {
  const std::pair<std::string_view, double> published[] = {
      {"deepseek-v2-lite", 15.7},     {"deepseek-v2", 236},         {"deepseek-v3", 671},
      {"deepseek-r1", 671},           {"deepseek-v3.1", 671},       {"deepseek-v3.2", 671},
      {"deepseek-v4-flash", 284},     {"deepseek-v4-pro", 1573},    {"deepseek-v4.1-flash", 552},
      {"r1-distill-qwen-1.5b", 1.78}, {"r1-distill-qwen-7b", 7.6},  {"r1-distill-qwen-14b", 14.8},
      {"r1-distill-qwen-32b", 32.8},  {"r1-distill-llama-8b", 8.0}, {"r1-distill-llama-70b", 70.6}};
  EXPECT_EQ(std::size(published), known_models().size());
  for (const auto& [name, billions] : published) {
    const auto file = known_model(name, "Q4_K_M");
    ASSERT_TRUE(file.ok()) << file.error().message;
    const auto needs = count_needs(**file, {});
    ASSERT_TRUE(needs.ok()) << name << ": " << needs.error().message;
    EXPECT_EQ(needs->obstacle, "") << name;
    double parameters = 0;  // as published: without the layer that drafts
    for (const FileTensor& tensor : (*file)->tensors())
      if (use_of(**file, tensor) == TensorUse::kModel)
        parameters += static_cast<double>(tensor.rows() * tensor.row_length());
    EXPECT_NEAR(parameters / 1e9, billions, billions * 0.01) << name;
  }
}

// The release is 510 GB: experts in 4.25 bits, tables of memory in 8.25, the rest in 8 and 16; of that about
// 9 GB draft and read images.
TEST(KnownModels, LeaveTablesOfMemoryOnDisk) {
  const auto file = known_model("deepseek-v4.1-flash", "MXFP4");
  ASSERT_TRUE(file.ok());
  const FitNeeds needs = count_needs(**file, {.context = 8192}).value();
  const double rows = 384006168 + 384016682;
  EXPECT_EQ(static_cast<double>(needs.in_file_bytes), rows * 272);  // as Q8_0
  double experts = 0, others = 0;
  for (const FileTensor& tensor : (*file)->tensors())
    if (use_of(**file, tensor) == TensorUse::kModel)
      (is_routed(tensor) ? experts : others) += static_cast<double>(tensor.rows() * tensor.row_length());
  EXPECT_NEAR((experts * 4.25 / 8 + rows * 264 + others * 1.2) / 1e9, 510 - 9, 5);
  EXPECT_LT(needs.weight_bytes(), 320'000'000'000);
}

// A layer like V3's others has 257 experts of 44 M and 187 M for its attention; with what joins token and
// state (103 M) that is 11.6 B. The published 14 B count the token table and the head once more.
TEST(KnownModels, CountTheLayerThatDrafts) {
  const auto file = known_model("deepseek-v3", "Q8_0");
  ASSERT_TRUE(file.ok());
  const FitNeeds with = count_needs(**file, {8192}).value();
  const FitNeeds without = count_needs(**file, {.context = 8192, .drafting = false}).value();
  EXPECT_EQ(with.drafting_bytes, with.total_bytes() - without.total_bytes());
  EXPECT_EQ(without.drafting_bytes, 0);
  EXPECT_NEAR(static_cast<double>(with.packed_bytes - without.packed_bytes), 11.61e9 * 34 / 32, 0.1e9);
  EXPECT_EQ(with.cache_bytes_per_token - without.cache_bytes_per_token, (512 + 64) * 2);
  EXPECT_EQ(with.always.bytes, without.always.bytes) << "what is read for every token is the model's";
  EXPECT_EQ(with.routed.bytes, without.routed.bytes);
  EXPECT_TRUE(judge(with, without.total_bytes()).fits_without_drafting);
  EXPECT_FALSE(judge(with, without.total_bytes() - 1).fits_without_drafting);
  EXPECT_EQ(count_needs(**known_model("deepseek-v2-lite", "Q8_0"), {}).value().drafting_bytes, 0);
}

TEST(KnownModels, NameWhatThereIs) {
  EXPECT_NE(known_model("deepseek-v9", "Q8_0").error().message.find("deepseek-v4-flash"), std::string::npos);
  const Error error = known_model("deepseek-v3", "Q9").error();
  EXPECT_EQ(error.code, ErrorCode::kInvalid);
  EXPECT_NE(error.message.find("MXFP4"), std::string::npos) << error.message;
}

}  // namespace
}  // namespace deepwell
