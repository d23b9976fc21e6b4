// SPDX-License-Identifier: Apache-2.0
// Goal: a checkpoint's layer that drafts is found, whatever it is called there.
// Method: tests/golden/engine/mtp (scripts/golden_mtp.py): the same tiny models as GGUF and as checkpoints.
#include <gtest/gtest.h>

#include <cstring>

#include "engine/checkpoint/checkpoint.h"
#include "engine/models/loader.h"
#include "support/run_tokens.h"

namespace deepwell {
namespace {

TEST(CheckpointMtp, IsTheLayerOfTheGguf) {
  for (const char* name : {"deepseek2_1", "deepseek4_1"}) {
    SCOPED_TRACE(name);
    const std::string path = std::string(DEEPWELL_SOURCE_DIR) + "/tests/golden/engine/mtp/" + name;
    const auto want = open_gguf(path + ".gguf");
    auto got = open_checkpoint(path);
    ASSERT_TRUE(want.ok() && got.ok()) << (got.ok() ? want : got).error().message;
    EXPECT_TRUE(has_drafting_layer(**got));
    int compared = 0;
    for (const FileTensor& tensor : (*want)->tensors()) {
      if (tensor.name.starts_with("golden.")) continue;
      const FileTensor* const same = (*got)->find(tensor.name);
      ASSERT_NE(same, nullptr) << tensor.name;
      ASSERT_EQ(same->type, tensor.type) << tensor.name;
      ASSERT_EQ(same->rows(), tensor.rows()) << tensor.name;
      ASSERT_EQ(same->row_length(), tensor.row_length()) << tensor.name;
      const auto bytes = static_cast<std::size_t>(tensor.row_bytes());
      std::vector<std::byte> a(bytes), b(bytes);
      for (std::int64_t row = 0; row < tensor.rows(); ++row)
        ASSERT_EQ(std::memcmp(tensor.data().at(row, tensor.row_bytes(), a.data()),
                              same->data().at(row, tensor.row_bytes(), b.data()), bytes),
                  0)
            << tensor.name << " row " << row;
      ++compared;
    }
    EXPECT_GT(compared, 30);
    EXPECT_EQ((*got)->tensors().size(), static_cast<std::size_t>(compared));
    const auto loaded =
        Runner::load(std::shared_ptr<const ModelFile>(std::move(*got)), {1, CacheType::kF32, true, 64, true});
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    EXPECT_GT((*loaded)->model().state_width(), 0);
  }
}

}  // namespace
}  // namespace deepwell
