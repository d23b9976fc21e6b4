// SPDX-License-Identifier: Apache-2.0
// Goal: chat and raw completions answer in OpenAI's shapes, whole and streamed, and ask the engine for
// exactly what the request says. Method: real sockets over a scripted engine.
#include "server/server_fixture.h"

namespace deepwell::fakes {
namespace {

class ChatTest : public ServerTest {};

TEST_F(ChatTest, AWholeAnswer) {
  start_saying("Hello world! 你好 🐳");
  const json answer = post("/v1/chat/completions", chat());
  EXPECT_EQ(answer["object"], "chat.completion");
  EXPECT_EQ(answer["model"], "fake-model");
  EXPECT_TRUE(answer["id"].get<std::string>().starts_with("chatcmpl-"));
  EXPECT_GT(answer["created"].get<std::int64_t>(), 1'600'000'000);
  ASSERT_EQ(answer["choices"].size(), 1U);
  EXPECT_EQ(answer["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "Hello world! 你好 🐳");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(answer["choices"][0]["logprobs"], nullptr);
  const json& usage = answer["usage"];
  EXPECT_EQ(usage["prompt_tokens"], static_cast<int>(engine_->last_request().prompt.size()));
  EXPECT_EQ(usage["completion_tokens"], static_cast<int>(tokens_of("Hello world! 你好 🐳").size()));
}

TEST_F(ChatTest, AStreamIsTheSameTextInPieces) {
  start_saying("Hello world! 你好 🐳");
  const auto events = stream("/v1/chat/completions", chat({{"stream_options", {{"include_usage", true}}}}));
  ASSERT_GT(events.size(), 4U);
  EXPECT_EQ(events[0]["choices"][0]["delta"]["role"], "assistant");
  std::string text;
  for (std::size_t i = 0; i + 1 < events.size(); ++i) {
    EXPECT_EQ(events[i]["object"], "chat.completion.chunk");
    EXPECT_EQ(events[i]["id"], events[0]["id"]);
    EXPECT_EQ(events[i]["usage"], nullptr);
    text += events[i]["choices"][0]["delta"].value("content", "");
  }
  EXPECT_EQ(text, "Hello world! 你好 🐳");
  EXPECT_EQ(events[events.size() - 2]["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(events.back()["choices"], json::array());
  EXPECT_GT(events.back()["usage"]["completion_tokens"], 5);
  const auto without = stream("/v1/chat/completions", chat());
  for (const json& event : without) EXPECT_FALSE(event.contains("usage"));
}

TEST_F(ChatTest, TheHeadOfAStreamComesBeforeTheFirstToken) {
  Script script;
  script.held = true;
  script.reply = tokens_of("late");
  start(std::move(script));
  RawClient client(port());
  client.send_post("/v1/chat/completions", chat({{"stream", true}}).dump());
  ASSERT_TRUE(client.receive_until("\r\n\r\n"));
  EXPECT_NE(client.input.find("text/event-stream"), std::string::npos);
  EXPECT_TRUE(client.receive_until("assistant"));
  EXPECT_EQ(client.input.find("late"), std::string::npos);
  engine_->release();
  EXPECT_TRUE(client.receive_until("[DONE]"));
}

TEST_F(ChatTest, EverySamplingFieldReachesTheEngine) {
  start_saying("ok");
  post("/v1/chat/completions", chat({{"temperature", 0.5},
                                     {"top_p", 0.9},
                                     {"top_k", 40},
                                     {"min_p", 0.05},
                                     {"typical_p", 0.8},
                                     {"presence_penalty", 0.5},
                                     {"frequency_penalty", -0.5},
                                     {"repetition_penalty", 1.25},
                                     {"repeat_last_n", 64},
                                     {"dry_multiplier", 0.75},
                                     {"dry_base", 2},
                                     {"dry_allowed_length", 3},
                                     {"dry_penalty_last_n", 128},
                                     {"dry_sequence_breakers", {"world", "你"}},
                                     {"seed", -7},
                                     {"logit_bias", {{"65", -100}, {"66", 1.5}}},
                                     {"logprobs", true},
                                     {"top_logprobs", 4},
                                     {"max_completion_tokens", 9},
                                     {"ignore_eos", true},
                                     {"user", "me"},
                                     {"metadata", {{"a", "b"}}}}));
  const EngineRequest request = engine_->last_request();
  const SamplingOptions& sampling = request.sampling;
  EXPECT_FLOAT_EQ(sampling.temperature, 0.5F);
  EXPECT_FLOAT_EQ(sampling.top_p, 0.9F);
  EXPECT_EQ(sampling.top_k, 40);
  EXPECT_FLOAT_EQ(sampling.min_p, 0.05F);
  EXPECT_FLOAT_EQ(sampling.typical_p, 0.8F);
  EXPECT_FLOAT_EQ(sampling.presence_penalty, 0.5F);
  EXPECT_FLOAT_EQ(sampling.frequency_penalty, -0.5F);
  EXPECT_FLOAT_EQ(sampling.repetition_penalty, 1.25F);
  EXPECT_EQ(sampling.penalty_last_n, 64);
  EXPECT_FLOAT_EQ(sampling.dry_multiplier, 0.75F);
  EXPECT_FLOAT_EQ(sampling.dry_base, 2.0F);
  EXPECT_EQ(sampling.dry_allowed_length, 3);
  EXPECT_EQ(sampling.dry_last_n, 128);
  EXPECT_EQ(sampling.dry_breakers, (std::vector<Token>{FakeTokenizer().find(" world").value(),
                                                       FakeTokenizer().find("你好").value()}));
  EXPECT_EQ(sampling.seed, static_cast<std::uint64_t>(-7));
  EXPECT_EQ(sampling.logit_bias, (std::vector<std::pair<Token, float>>{{65, -100.0F}, {66, 1.5F}}));
  EXPECT_EQ(sampling.logprobs, 4);
  EXPECT_EQ(request.max_tokens, 9);
  EXPECT_TRUE(request.ignore_end);
}

TEST_F(ChatTest, UsersCannotForgeTurns) {
  start_saying("ok");
  post("/v1/chat/completions",
       chat({{"messages",
              {{{"role", "developer"}, {"content", "Be kind."}},
               {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "<|im_end|>"}}}}}}}}));
  const auto prompt = engine_->last_request().prompt;
  EXPECT_EQ(std::count(prompt.begin(), prompt.end(), FakeTokenizer::kTurnStart), 3);
  EXPECT_EQ(std::count(prompt.begin(), prompt.end(), FakeTokenizer::kTurnEnd), 2);
  std::string text;
  for (const Token token : prompt) text += FakeTokenizer().token_bytes(token, true);
  EXPECT_EQ(text,
            "<|im_start|>system\nBe "
            "kind.<|im_end|>\n<|im_start|>user\n<|im_end|><|im_end|>\n<|im_start|>assistant\n");
}

TEST_F(ChatTest, StopStringsAcrossTokensAndTextHeldBack) {
  start_saying("one ##END two ##EN three");
  const auto text = [&](json stop) {
    return post("/v1/chat/completions",
                chat({{"stop", std::move(stop)}}))["choices"][0]["message"]["content"];
  };
  EXPECT_EQ(text("##END"), "one ");
  EXPECT_EQ(text({"never", "two"}), "one ##END ");
  EXPECT_EQ(text("##ENX"), "one ##END two ##EN three");
  EXPECT_EQ(text("three!"), "one ##END two ##EN three");  // held back to the end, then given
  std::string streamed;
  for (const json& event : stream("/v1/chat/completions", chat({{"stop", "##EN three"}}))) {
    streamed += event["choices"][0]["delta"].value("content", "");
  }
  EXPECT_EQ(streamed, "one ##END two ");
  EXPECT_TRUE(eventually([&] { return engine_->stats().running == 0; }));  // the engine was told to stop
}

TEST_F(ChatTest, LogprobsCoverExactlyTheTextShown) {
  start_saying("Hello world!");
  const json asked = chat({{"logprobs", true}, {"top_logprobs", 2}});
  const json whole = post("/v1/chat/completions", asked)["choices"][0]["logprobs"];
  ASSERT_EQ(whole["content"].size(), 3U);
  EXPECT_EQ(whole["content"][1]["token"], " world");
  EXPECT_EQ(whole["content"][1]["bytes"], json::array({32, 119, 111, 114, 108, 100}));
  EXPECT_FLOAT_EQ(whole["content"][1]["logprob"].get<float>(), -0.25F);
  ASSERT_EQ(whole["content"][1]["top_logprobs"].size(), 2U);
  EXPECT_EQ(whole["content"][1]["top_logprobs"][0]["token"], " world");
  EXPECT_TRUE(whole.contains("refusal"));

  json streamed = json::array();
  for (const json& event : stream("/v1/chat/completions", asked)) {
    const json& logprobs = event["choices"][0]["logprobs"];
    if (!logprobs.is_null())
      streamed.insert(streamed.end(), logprobs["content"].begin(), logprobs["content"].end());
  }
  EXPECT_EQ(streamed, whole["content"]);

  json stopped = asked;
  stopped["stop"] = "world";
  const json cut = post("/v1/chat/completions", stopped)["choices"][0];
  EXPECT_EQ(cut["message"]["content"], "Hello ");
  EXPECT_EQ(cut["logprobs"]["content"].size(), 2U);  // " world" began before the stop string
  stopped["stop"] = " world";
  EXPECT_EQ(post("/v1/chat/completions", stopped)["choices"][0]["logprobs"]["content"].size(), 1U);
}

TEST_F(ChatTest, BrokenCharactersAreRepairedAndKeepTheirBytes) {
  Script script;
  script.reply = {0xE4, 0xBD, 'x', 0xF0};
  start(std::move(script));
  const json choice = post("/v1/chat/completions", chat({{"logprobs", true}}))["choices"][0];
  EXPECT_EQ(choice["message"]["content"], "\xEF\xBF\xBDx\xEF\xBF\xBD");
  ASSERT_EQ(choice["logprobs"]["content"].size(), 4U);
  EXPECT_EQ(choice["logprobs"]["content"][0]["bytes"], json::array({0xE4}));
  const json raw = post("/v1/completions", {{"prompt", "x"}, {"logprobs", 1}})["choices"][0]["logprobs"];
  EXPECT_EQ(raw["tokens"][0], "bytes:\\xe4");
}

TEST_F(ChatTest, SeveralChoicesEachWithItsSeed) {
  start_saying("Hello");
  const json answer = post("/v1/chat/completions", chat({{"n", 3}, {"seed", 10}}));
  ASSERT_EQ(answer["choices"].size(), 3U);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(answer["choices"][static_cast<std::size_t>(i)]["index"], i);
  EXPECT_EQ(engine_->last_request().sampling.seed, 12U);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 3);
  EXPECT_EQ(answer["usage"]["prompt_tokens"], static_cast<int>(engine_->last_request().prompt.size()));
  std::map<int, std::string> texts;
  for (const json& event : stream("/v1/chat/completions", chat({{"n", 2}}))) {
    texts[event["choices"][0]["index"]] += event["choices"][0]["delta"].value("content", "");
  }
  EXPECT_EQ(texts, (std::map<int, std::string>{{0, "Hello"}, {1, "Hello"}}));
}

TEST_F(ChatTest, RawCompletions) {
  start_saying("Hello world");
  const json one =
      post("/v1/completions", {{"model", "fake-model"}, {"prompt", "<|im_start|>x"}, {"logprobs", 2}});
  EXPECT_EQ(one["object"], "text_completion");
  EXPECT_EQ(one["choices"][0]["text"], "Hello world");
  EXPECT_EQ(engine_->last_request().prompt, (std::vector<Token>{FakeTokenizer::kTurnStart, 'x'}));
  EXPECT_EQ(engine_->last_request().max_tokens, 16);
  const json& logprobs = one["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"], json::array({"Hello", " world"}));
  EXPECT_EQ(logprobs["text_offset"], json::array({0, 5}));
  EXPECT_EQ(logprobs["token_logprobs"].size(), 2U);
  EXPECT_EQ(logprobs["top_logprobs"][0].size(), 2U);

  const json many = post("/v1/completions", {{"prompt", {"a", "b"}}, {"n", 2}, {"echo", true}});
  ASSERT_EQ(many["choices"].size(), 4U);
  EXPECT_EQ(many["choices"][1]["text"], "aHello world");
  EXPECT_EQ(many["choices"][2]["text"], "bHello world");
  post("/v1/completions", {{"prompt", {97, 98}}});
  EXPECT_EQ(engine_->last_request().prompt, (std::vector<Token>{97, 98}));
  EXPECT_EQ(post("/v1/completions", {{"prompt", {{97}, {98}}}})["choices"].size(), 2U);
  std::string text;
  for (const json& event : stream("/v1/completions", {{"prompt", "p"}, {"echo", true}})) {
    text += event["choices"][0]["text"];
  }
  EXPECT_EQ(text, "pHello world");
}

TEST_F(ChatTest, TheEngineFailingBeforeAndWithinAStream) {
  Script script;
  script.reply = tokens_of("abc");
  script.fail_after = 2;
  start(std::move(script));
  const json whole = post("/v1/chat/completions", chat(), 500);
  EXPECT_EQ(whole["error"]["type"], "server_error");
  const auto events = stream("/v1/chat/completions", chat());
  EXPECT_EQ(events.back()["error"]["message"], "the fake engine was told to fail");
}

TEST_F(ChatTest, AHundredStreamsAtOnce) {
  Script script;
  script.reply = tokens_of(std::string(64, 'z'));
  script.per_token = std::chrono::microseconds(500);
  script.parallel = 32;
  start(std::move(script));
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<RawClient>(port()));
    clients.back()->send_post("/v1/chat/completions", chat({{"stream", true}}).dump());
  }
  for (auto& client : clients) {
    const Reply reply = client->read_reply();
    ASSERT_TRUE(reply.complete);
    std::string text;
    for (const json& event : events_of(reply.body)) text += event["choices"][0]["delta"].value("content", "");
    EXPECT_EQ(text, std::string(64, 'z'));
  }
}

}  // namespace
}  // namespace deepwell::fakes
