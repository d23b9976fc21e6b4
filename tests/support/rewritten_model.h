// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "support/golden_file.h"
#include "support/rewritten_gguf.h"
#include "support/run_tokens.h"
#include "support/temp_dir.h"

namespace deepwell::testing_support {

/// A golden model that is written again, with changes, and run or refused.
class RewrittenModelTest : public testing::Test {
 protected:
  void open(const std::string& golden) {
    auto file = open_gguf(golden_path(golden));
    ASSERT_TRUE(file.ok());
    file_ = std::move(file).value();
  }
  /// 150 tokens below `vocabulary`, few of them twice.
  static std::vector<std::int32_t> scattered_tokens(std::int64_t vocabulary) {
    std::vector<std::int32_t> out;
    for (std::int64_t i = 0; i < 150; ++i) out.push_back(static_cast<std::int32_t>(i * 37 % vocabulary));
    return out;
  }
  /// Without the tensors whose names have `part`.
  GgufBuilder without(std::string_view part) const {
    return rewritten(*file_, [&](GgufBuilder&, const FileTensor& tensor) {
      return tensor.name.find(part) != std::string::npos;
    });
  }
  GgufBuilder same() const {
    return rewritten(*file_, [](GgufBuilder&, const FileTensor&) { return false; });
  }
  /// Of tokens_, in chunks of 50.
  std::vector<float> logits(const GgufBuilder& builder, bool exact = true) const {
    const auto runner = load_runner(temp_.write("m.gguf", builder.build()), {2, CacheType::kF32, exact, 256});
    if (runner.ok()) return run_tokens(**runner, tokens_, 50);
    ADD_FAILURE() << runner.error().message;
    return {};
  }
  /// Why it does not load.
  std::string error(const GgufBuilder& builder, ErrorCode code = ErrorCode::kCorrupt) const {
    const auto runner = load_runner(temp_.write("m.gguf", builder.build()));
    if (runner.ok()) return "it loaded";
    EXPECT_EQ(runner.error().code, code);
    return runner.error().message;
  }
  std::unique_ptr<ModelFile> file_;
  std::vector<std::int32_t> tokens_;
  TempDir temp_;
};

}  // namespace deepwell::testing_support
