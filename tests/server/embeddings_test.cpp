// SPDX-License-Identifier: Apache-2.0
// Goal: embeddings in OpenAI's and Ollama's shapes. Method: real sockets over an engine whose vectors are
// (3, 0, 4, tokens of the prompt).
#include <cmath>

#include "server/server_fixture.h"

namespace deepwell::fakes {
namespace {

class EmbeddingsTest : public ServerTest {};

TEST_F(EmbeddingsTest, EveryShapeOfInput) {
  start_saying("");
  const json one = post("/v1/embeddings", {{"model", "fake-model"}, {"input", "ab"}});
  EXPECT_EQ(one["object"], "list");
  EXPECT_EQ(one["model"], "fake-model");
  EXPECT_EQ(one["usage"]["prompt_tokens"], 2);
  ASSERT_EQ(one["data"].size(), 1U);
  const double length = std::sqrt(3.0 * 3 + 4 * 4 + 2 * 2);
  EXPECT_NEAR(one["data"][0]["embedding"][0].get<double>(), 3 / length, 1e-6);
  EXPECT_NEAR(one["data"][0]["embedding"][3].get<double>(), 2 / length, 1e-6);

  json many = json::array();
  for (int i = 1; i <= 50; ++i) many.push_back(std::string(static_cast<std::size_t>(i), 'x'));
  const json list = post("/v1/embeddings", {{"input", many}});
  ASSERT_EQ(list["data"].size(), 50U);
  for (int i = 0; i < 50; ++i) {
    const json& entry = list["data"][static_cast<std::size_t>(i)];
    EXPECT_EQ(entry["index"], i);
    EXPECT_NEAR(entry["embedding"][3].get<double>() / entry["embedding"][0].get<double>(), (i + 1) / 3.0,
                1e-5);
  }
  EXPECT_EQ(post("/v1/embeddings", {{"input", {97, 98, 99}}})["usage"]["total_tokens"], 3);
  EXPECT_EQ(post("/v1/embeddings", {{"input", {{97}, {98, 99}}}})["data"].size(), 2U);
}

TEST_F(EmbeddingsTest, FormatDimensionsAndPooling) {
  start_saying("");
  const json text =
      post("/v1/embeddings", {{"input", "a"}, {"encoding_format", "base64"}, {"dimensions", 2}});
  EXPECT_EQ(text["data"][0]["embedding"], "AACAPwAAAAA=") << "(1, 0)";
  EXPECT_EQ(*engine_->last_request().pooling, Pooling::kMean);
  post("/v1/embeddings", {{"input", "a"}, {"pooling", "last"}});
  EXPECT_EQ(*engine_->last_request().pooling, Pooling::kLast);
}

TEST_F(EmbeddingsTest, Refusals) {
  start_saying("");
  const auto param = [&](const json& body) { return post("/v1/embeddings", body, 400)["error"]["param"]; };
  EXPECT_EQ(param({{"model", "fake-model"}}), "input");
  EXPECT_EQ(param({{"input", ""}}), "input");
  EXPECT_EQ(param({{"input", json::array()}}), "input");
  EXPECT_EQ(param({{"input", {"a", 1}}}), "input");
  EXPECT_EQ(param({{"input", std::string(5000, 'x')}}), "input");
  EXPECT_EQ(param({{"input", {1, 999999}}}), "input");
  EXPECT_EQ(param({{"input", "a"}, {"dimensions", 5}}), "dimensions");
  EXPECT_EQ(param({{"input", "a"}, {"encoding_format", "hex"}}), "encoding_format");
  EXPECT_EQ(param({{"input", "a"}, {"pooling", "cls"}}), "pooling");
  EXPECT_EQ(param({{"input", "a"}, {"surprise", 1}}), "surprise");
  post("/v1/embeddings", {{"model", "nobody"}, {"input", "a"}}, 404);
}

TEST_F(EmbeddingsTest, OllamasTwo) {
  start_saying("");
  const json made = post("/api/embed", {{"model", "fake-model:latest"}, {"input", {"a", "bc"}}});
  ASSERT_EQ(made["embeddings"].size(), 2U);
  EXPECT_EQ(made["prompt_eval_count"], 3);
  const json cut = post("/api/embed", {{"model", "fake-model"}, {"input", std::string(9000, 'x')}});
  EXPECT_EQ(cut["prompt_eval_count"], 4095);
  post("/api/embed", {{"model", "fake-model"}, {"input", std::string(9000, 'x')}, {"truncate", false}}, 400);
  EXPECT_EQ(post("/api/embeddings", {{"model", "fake-model"}, {"prompt", "ab"}})["embedding"],
            json::array({3, 0, 4, 2}));
}

TEST_F(EmbeddingsTest, AClientThatLeavesIsNotWorkedFor) {
  Script script;
  script.held = true;
  start(std::move(script));
  {
    RawClient client(port());
    client.send_post("/v1/embeddings", json({{"input", {"a", "b"}}}).dump());
    ASSERT_TRUE(eventually([&] { return engine_->stats().running == 2; }));
  }
  EXPECT_TRUE(eventually([&] { return engine_->stats().running == 0; }));
}

}  // namespace
}  // namespace deepwell::fakes
