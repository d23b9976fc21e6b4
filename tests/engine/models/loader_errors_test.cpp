// SPDX-License-Identifier: Apache-2.0
// Goal: a model that cannot work is refused in one line that names the file, what is wrong and what it should
// be.
#include <gtest/gtest.h>

#include "support/run_tokens.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace deepwell {
namespace {

using namespace testing_support;

class LoaderErrorsTest : public testing::Test {
 protected:
  TempDir temp_;
  std::string load(const GgufBuilder& builder, ErrorCode code) {
    builder.write(temp_ / "m.gguf");
    const auto runner = load_runner(temp_ / "m.gguf");
    if (runner.ok()) return "it loaded";
    EXPECT_EQ(runner.error().code, code) << runner.error().message;
    EXPECT_EQ(runner.error().message.find('\n'), std::string::npos);
    return runner.error().message;
  }
  void expect(const std::string& message, std::initializer_list<const char*> parts) {
    for (const char* part : parts)
      EXPECT_NE(message.find(part), std::string::npos) << "no '" << part << "' in: " << message;
  }
};

const char* const kTensors[] = {"token_embd.weight",     "blk.0.attn_norm.weight", "blk.1.attn_q.weight",
                                "blk.0.attn_k.weight",   "blk.1.attn_v.weight",    "blk.0.attn_output.weight",
                                "blk.1.ffn_norm.weight", "blk.0.ffn_gate.weight",  "blk.0.ffn_up.weight",
                                "blk.1.ffn_down.weight", "output_norm.weight"};

TEST_F(LoaderErrorsTest, MissingTensorsAreNamed) {
  for (const char* tensor : kTensors) {
    TinyModel model;
    model.without = tensor;
    expect(load(model.build(), ErrorCode::kCorrupt), {"m.gguf", tensor, "is missing"});
  }
}

TEST_F(LoaderErrorsTest, WrongShapesAreNamedWithBothShapes) {
  for (const char* tensor : kTensors) {
    if (std::string_view(tensor) == "token_embd.weight") continue;  // its rows are the vocabulary
    TinyModel model;
    model.reshaped = tensor;
    expect(load(model.build(), ErrorCode::kCorrupt), {"m.gguf", tensor, " x ", "the metadata asks for"});
  }
  TinyModel model;
  model.reshaped = "token_embd.weight";  // then the head does not fit
  expect(load(model.build(), ErrorCode::kCorrupt), {"output.weight", "128 x 64", "129 x 64"});
  TinyModel biased;
  biased.biases = true;
  biased.reshaped = "blk.0.attn_q.bias";
  expect(load(biased.build(), ErrorCode::kCorrupt), {"blk.0.attn_q.bias", "1 x 65", "1 x 64"});
}

TEST_F(LoaderErrorsTest, UnsupportedTypesAreNamed) {
  for (const char* tensor : kTensors) {
    TinyModel model;
    model.as_bytes = tensor;
    expect(load(model.build(), ErrorCode::kUnsupported), {"m.gguf", tensor, "type I8", "get a Q4_K_M"});
  }
}

TEST_F(LoaderErrorsTest, NonsenseMetadataIsNamed) {
  struct Case {
    const char* key;
    std::vector<std::int64_t> values;
    const char* part;
  };
  const Case cases[] = {
      {"llama.block_count", {0, -1, 1025, INT64_MAX, INT64_MIN}, "llama.block_count"},
      {"llama.block_count", {3}, "blk.2."},
      {"llama.embedding_length", {0, -5, INT64_MAX}, "llama.embedding_length"},
      {"llama.embedding_length", {3}, "fit together"},
      {"llama.embedding_length", {65, 128}, "token_embd.weight"},
      {"llama.attention.head_count", {0, -1, 5000, INT64_MAX}, "llama.attention.head_count"},
      {"llama.attention.head_count", {3, 64, 1000}, "fit together"},
      {"llama.attention.head_count_kv", {0, -2, 3, 8, INT64_MAX, INT64_MIN}, "fit together"},
      {"llama.attention.head_count_kv", {1}, "attn_k.weight"},
      {"llama.attention.key_length", {0, 1, -16, 15, 2000, INT64_MAX}, "fit together"},
      {"llama.attention.value_length", {8, -1}, "fit together"},
      {"llama.feed_forward_length", {0, -1, INT64_MAX}, "llama.feed_forward_length"},
      {"llama.feed_forward_length", {95}, "ffn_gate.weight"},
      {"llama.context_length", {0, -1, INT64_MAX}, "llama.context_length"},
      {"llama.rope.dimension_count", {0, -2, 15, 18, INT64_MAX}, "rope.dimension_count"},
  };
  for (const Case& c : cases)
    for (const std::int64_t value : c.values) {
      SCOPED_TRACE(testing::Message() << c.key << " = " << value);
      expect(load(TinyModel{}.build().set(c.key, value), ErrorCode::kCorrupt), {"m.gguf", c.part});
    }
  for (const double value : {-1.0, 2.0, double{NAN}, double{INFINITY}})
    expect(
        load(TinyModel{}.build().set("llama.attention.layer_norm_rms_epsilon", value), ErrorCode::kCorrupt),
        {"m.gguf", "layer_norm_rms_epsilon"});
  for (const char* key : {"llama.block_count", "llama.embedding_length", "llama.attention.head_count",
                          "llama.feed_forward_length", "llama.context_length"})
    expect(load(TinyModel{}.build().set(key, "many"), ErrorCode::kCorrupt), {"m.gguf", key, "no integer"});
}

TEST_F(LoaderErrorsTest, UnknownArchitecturesAreNamedWithTheKnown) {
  TinyModel model;
  model.architecture = "parrot";
  expect(load(model.build(), ErrorCode::kUnsupported), {"'parrot'", "llama", "qwen2"});
  expect(load(GgufBuilder().set("general.name", "none"), ErrorCode::kUnsupported), {"''", "llama"});
}

TEST_F(LoaderErrorsTest, AWholeModelLoadsAndReportsProgressUpToItsEnd) {
  for (const bool tied : {false, true}) {
    TinyModel model;
    model.tied = tied;
    model.architecture = tied ? "qwen2" : "llama";
    model.biases = tied;
    model.build().write(temp_ / "m.gguf");
    auto file = open_gguf(temp_ / "m.gguf");
    ASSERT_TRUE(file.ok());
    std::vector<double> progress;
    const auto runner = Runner::load(std::shared_ptr<const ModelFile>(std::move(file).value()), {},
                                     [&](double fraction) { progress.push_back(fraction); });
    ASSERT_TRUE(runner.ok()) << runner.error().message;
    EXPECT_TRUE(std::is_sorted(progress.begin(), progress.end()));
    ASSERT_FALSE(progress.empty());
    EXPECT_GT(progress.front(), 0);
    EXPECT_LE(progress.back(), 1.0);
    EXPECT_GT(progress.back(), tied ? 0.95 : 0.7);  // the token table is not copied
    const ModelShape& shape = (*runner)->model().shape();
    EXPECT_EQ(shape.layers, 2);
    EXPECT_EQ(shape.width, 64);
    EXPECT_EQ(shape.vocabulary, 128);
    EXPECT_EQ(shape.context, 512);
  }
}

}  // namespace
}  // namespace deepwell
