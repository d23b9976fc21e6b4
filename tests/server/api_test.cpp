// SPDX-License-Identifier: Apache-2.0
// Goal: what is not a plain answer: refusals with the right status and names, leaving clients, full queues,
// draining, health, metrics, models, tokens, the log.
#include "server/server_fixture.h"

namespace deepwell::fakes {
namespace {

class ApiTest : public ServerTest {
 protected:
  void expect_refused(const std::string& path, const json& body, const std::string& param, int status = 400) {
    SCOPED_TRACE(body.dump().substr(0, 200));
    const json answer = post(path, body, status);
    ASSERT_TRUE(answer.contains("error"));
    EXPECT_EQ(answer["error"]["param"], param.empty() ? json(nullptr) : json(param)) << answer;
    EXPECT_EQ(answer["error"]["type"], "invalid_request_error");
    EXPECT_TRUE(answer["error"].contains("code"));
  }
};

TEST_F(ApiTest, WrongFieldsAreNamed) {
  start_saying("ok");
  const std::pair<json, const char*> cases[] = {
      {{{"messages", "hi"}}, "messages"},
      {{{"messages", json::array()}}, "messages"},
      {{{"messages", {"hi"}}}, "messages[0]"},
      {{{"messages", {{{"content", "x"}}}}}, "messages[0].role"},
      {{{"messages", {{{"role", "king"}, {"content", "x"}}}}}, "messages[0].role"},
      {{{"messages", {{{"role", "user"}}}}}, "messages[0].content"},
      {{{"messages", {{{"role", "user"}, {"content", 5}}}}}, "messages[0].content"},
      {{{"messages", {{{"role", "user"}, {"content", {{{"type", "image_url"}}}}}}}},
       "messages[0].content[0].type"},
      {{{"messages", {{{"role", "function"}, {"content", "x"}}}}}, "messages[0].role"},
      {{{"temperature", "hot"}}, "temperature"},
      {{{"temperature", -0.1}}, "temperature"},
      {{{"top_p", 0}}, "top_p"},
      {{{"top_k", 1.5}}, "top_k"},
      {{{"max_tokens", 0}}, "max_tokens"},
      {{{"max_tokens", 1}, {"max_completion_tokens", 2}}, "max_tokens"},
      {{{"n", 0}}, "n"},
      {{{"n", 1000}}, "n"},
      {{{"stop", 5}}, "stop"},
      {{{"stop", json::array({"a", 5})}}, "stop"},
      {{{"stop", ""}}, "stop"},
      {{{"stop", std::vector<std::string>(17, "x")}}, "stop"},
      {{{"stream", 1}}, "stream"},
      {{{"stream_options", {{"include_usage", true}}}}, "stream_options"},
      {{{"seed", 1.5}}, "seed"},
      {{{"logit_bias", {{"x", 1}}}}, "logit_bias"},
      {{{"logit_bias", {{"1", 101}}}}, "logit_bias"},
      {{{"logit_bias", {{"99999", 1}}}}, "logit_bias"},
      {{{"top_logprobs", 3}}, "top_logprobs"},
      {{{"logprobs", true}, {"top_logprobs", 21}}, "top_logprobs"},
      {{{"response_format", {{"type", "xml"}}}}, "response_format.type"},
      {{{"tools", {{{"type", "function"}}}}}, "tools[0].function"},
      {{{"tool_choice", "required"}}, "tool_choice"},
      {{{"guided_json", {{"not", json::object()}}}}, "guided_json"},
      {{{"frobnicate", 1}}, "frobnicate"},
      {{{"messages", {{{"role", "user"}, {"content", "raise"}}}}}, "messages"},
  };
  for (const auto& [field, param] : cases) expect_refused("/v1/chat/completions", chat(field), param);
  const json answer = post("/v1/chat/completions", chat({{"functions", {1}}}), 400);
  EXPECT_EQ(answer["error"]["code"], "unsupported_parameter");
  for (const auto& [field, param] : std::initializer_list<std::pair<json, const char*>>{
           {{{"prompt", 5}}, "prompt"},
           {json::object(), "prompt"},
           {{{"prompt", json::array()}}, "prompt"},
           {{{"prompt", {1, "a"}}}, "prompt"},
           {{{"prompt", {-1}}}, "prompt"},
           {{{"prompt", {99999}}}, "prompt"},
           {{{"prompt", ""}}, "prompt"},
           {{{"prompt", "a"}, {"suffix", "b"}}, "suffix"},
           {{{"prompt", "a"}, {"best_of", 2}}, "best_of"},
           {{{"prompt", "a"}, {"echo", true}, {"logprobs", 1}}, "logprobs"}}) {
    expect_refused("/v1/completions", field, param);
  }
}

TEST_F(ApiTest, ResponsesRefuseExtrasThatTheyLack) {
  start_saying("ok");
  const json plain = {{"model", "fake-model"}, {"input", "Hi"}};
  const auto with = [&](const char* name, json value) {
    json body = plain;
    body[name] = std::move(value);
    return body;
  };
  expect_refused("/v1/responses", with("include", {"message.output_text.logprobs"}), "include[0]");
  expect_refused("/v1/responses", with("include", {"reasoning.encrypted_content", 5}), "include[1]");
  expect_refused("/v1/responses", with("include", "all"), "include");
  expect_refused("/v1/responses", with("stream_options", {{"include_usage", true}}),
                 "stream_options.include_usage");
  post("/v1/responses", with("include", {"reasoning.encrypted_content"}), 200);
  post("/v1/responses", with("stream_options", {{"include_obfuscation", false}}), 200);
}

TEST_F(ApiTest, WhatAsksForNothingIsAccepted) {
  start_saying("ok");
  post("/v1/chat/completions", chat({{"tools", json::array()},
                                     {"tool_choice", "none"},
                                     {"parallel_tool_calls", true},
                                     {"store", false},
                                     {"response_format", {{"type", "text"}}},
                                     {"temperature", nullptr},
                                     {"unknown", nullptr},
                                     {"max_tokens", 5.0},
                                     {"modalities", {"text"}},
                                     {"user", "x"}}));
  post("/v1/chat/completions", chat({{"messages",
                                      {{{"role", "assistant"},
                                        {"content", nullptr},
                                        {"refusal", nullptr},
                                        {"tool_calls", nullptr},
                                        {"reasoning_content", "hm"}},
                                       {{"role", "user"}, {"content", "x"}, {"name", "me"}}}}}));
}

TEST_F(ApiTest, BadBodiesAreRefusedWithoutHarm) {
  start_saying("ok");
  const std::string bodies[] = {
      "",
      "{",
      "[]",
      "null",
      "\"x\"",
      "{\"a\":}",
      std::string("{\"a\":\"\xff\xfe\"}"),
      std::string(100, '\0'),
      "{\"messages\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}",
      "{\"a\":" + std::string(1'000'000, '{'),
      "{\"temperature\":1e999}",
      "{\"seed\":99999999999999999999999}",
      "{\"prompt\":[" + std::string(9'000'000, ',') + "]}"};
  for (const std::string& body : bodies) {
    SCOPED_TRACE(body.substr(0, 40));
    const Reply reply = RawClient(port()).post("/v1/chat/completions", body);
    EXPECT_EQ(reply.status, 400);
    EXPECT_EQ(json::parse(reply.body)["error"]["type"], "invalid_request_error");
  }
}

TEST_F(ApiTest, UnknownModelsPathsAndMethods) {
  start_saying("ok");
  const json unknown = post("/v1/chat/completions", chat({{"model", "gpt-9"}}), 404);
  EXPECT_EQ(unknown["error"]["code"], "model_not_found");
  EXPECT_NE(unknown["error"]["message"].get<std::string>().find("fake-model"), std::string::npos);
  EXPECT_EQ(post("/v1/chat/completions", chat({{"model", "org/name"}}))["model"], "org/name");
  RawClient client(port());
  EXPECT_EQ(client.get("/v1/nothing").status, 404);
  const Reply wrong = client.get("/v1/chat/completions");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.header("Allow"), "POST, OPTIONS");
  client.send("OPTIONS /health HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(client.read_reply().header("Allow"), "GET, HEAD, OPTIONS");
  client.send("HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(client.read_reply(true).status, 200);
  const json list = json::parse(client.get("/v1/models").body);
  EXPECT_EQ(list["data"].size(), 3U);
  EXPECT_EQ(list["data"][0]["id"], "fake-model");
  EXPECT_EQ(json::parse(client.get("/v1/models/org/name").body)["root"], "fake-model");
  EXPECT_EQ(json::parse(client.get("/v1/models/org%2Fname").body)["id"], "org/name");
  EXPECT_EQ(client.get("/v1/models/none").status, 404);
}

TEST_F(ApiTest, TooLongAPromptTellsBothNumbers) {
  Script script;
  script.context = 50;
  script.reply = tokens_of("ok");
  start(std::move(script));
  const json answer = post("/v1/completions", {{"prompt", std::string(75, 'x')}}, 400);
  EXPECT_EQ(answer["error"]["code"], "context_length_exceeded");
  const std::string message = answer["error"]["message"];
  EXPECT_NE(message.find("75"), std::string::npos);
  EXPECT_NE(message.find("50"), std::string::npos);
  post("/v1/completions", {{"prompt", std::string(49, 'x')}});
}

TEST_F(ApiTest, BodiesTooLargeAre413InOpenAisShape) {
  AppOptions options;
  options.http.body_bytes_max = 2000;
  Script script;
  script.reply = tokens_of("ok");
  start(std::move(script), std::move(options));
  const Reply reply = RawClient(port()).post("/v1/completions", std::string(5000, ' '));
  EXPECT_EQ(reply.status, 413);
  EXPECT_TRUE(json::parse(reply.body)["error"].contains("message"));
}

TEST_F(ApiTest, AFullQueueIs429AndLeavesNothingBehind) {
  Script script;
  script.held = true;
  script.parallel = 1;
  script.queue = 2;
  script.reply = tokens_of("ok");
  start(std::move(script));
  std::vector<std::unique_ptr<RawClient>> waiting;
  for (int i = 0; i < 2; ++i) {
    waiting.push_back(std::make_unique<RawClient>(port()));
    waiting.back()->send_post("/v1/chat/completions", chat().dump());
  }
  ASSERT_TRUE(eventually([&] { return engine_->stats().running + engine_->stats().waiting == 2; }));
  // Asks for two, there is room for one: neither stays.
  const Reply refused =
      RawClient(port()).post("/v1/chat/completions", chat({{"n", 2}, {"stream", true}}).dump());
  EXPECT_EQ(refused.status, 429);
  EXPECT_GE(std::atoi(refused.header("Retry-After").c_str()), 1);
  EXPECT_EQ(json::parse(refused.body)["error"]["code"], "queue_full");
  EXPECT_TRUE(eventually([&] { return engine_->stats().running + engine_->stats().waiting == 2; }));
  const json health = json::parse(RawClient(port()).get("/health").body);
  EXPECT_EQ(health["running"], 1);
  EXPECT_EQ(health["waiting"], 1);
  engine_->release();
  for (auto& client : waiting) EXPECT_EQ(client->read_reply().status, 200);
}

TEST_F(ApiTest, AClientThatLeavesCancelsItsWork) {
  Script script;
  script.held = true;
  script.reply = tokens_of("ok");
  start(std::move(script));
  for (const bool streaming : {true, false}) {
    SCOPED_TRACE(streaming);
    auto client = std::make_unique<RawClient>(port());
    client->send_post("/v1/chat/completions", chat({{"stream", streaming}, {"n", 2}}).dump());
    ASSERT_TRUE(eventually([&] { return engine_->stats().running == 2; }));
    client.reset();
    EXPECT_TRUE(eventually([&] { return engine_->stats().running == 0; }));
  }
  EXPECT_EQ(engine_->stats().cancelled, 4);
  EXPECT_TRUE(eventually([&] { return service_->busy() == 0; }));
}

TEST_F(ApiTest, AClientThatLeavesMidStreamCancelsTheRest) {
  Script script;
  script.reply = tokens_of(std::string(100'000, 'y'));
  script.per_token = std::chrono::milliseconds(1);
  start(std::move(script));
  auto client = std::make_unique<RawClient>(port());
  client->send_post("/v1/chat/completions", chat({{"stream", true}}).dump());
  ASSERT_TRUE(client->receive_until("\"y\""));
  client.reset();
  EXPECT_TRUE(eventually([&] { return engine_->stats().cancelled == 1; }));
}

TEST_F(ApiTest, DrainingFinishesWhatRunsAndRefusesTheRest) {
  Script script;
  script.held = true;
  script.reply = tokens_of("finished");
  start(std::move(script));
  RawClient running(port());
  running.send_post("/v1/chat/completions", chat().dump());
  ASSERT_TRUE(eventually([&] { return engine_->stats().running == 1; }));
  std::thread drainer([&] { app_->drain(testing_support::kPatience); });
  ASSERT_TRUE(eventually([&] { return service_->phase() == Phase::kDraining; }));
  const Reply refused = RawClient(port()).post("/v1/chat/completions", chat().dump());
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(json::parse(refused.body)["error"]["code"], "draining");
  const Reply health = RawClient(port()).get("/health");
  EXPECT_EQ(health.status, 503);
  EXPECT_EQ(json::parse(health.body)["status"], "draining");
  engine_->release();
  const Reply answer = running.read_reply();
  EXPECT_EQ(json::parse(answer.body)["choices"][0]["message"]["content"], "finished");
  drainer.join();
  EXPECT_FALSE(RawClient(port()).connected());
}

TEST_F(ApiTest, DrainingEndsByItsDeadline) {
  Script script;
  script.held = true;
  script.reply = tokens_of("never");
  start(std::move(script));
  RawClient running(port());
  running.send_post("/v1/chat/completions", chat({{"stream", true}}).dump());
  ASSERT_TRUE(eventually([&] { return engine_->stats().running == 1; }));
  app_->drain(std::chrono::milliseconds(200));  // returns, though the answer never ends
  const Reply cut = running.read_reply();
  EXPECT_TRUE(cut.complete) << "it is told, not dropped";
  EXPECT_NE(cut.body.find("shutting down"), std::string::npos) << cut.body;
  EXPECT_TRUE(running.receive_until_closed());
  EXPECT_TRUE(eventually([&] { return engine_->stats().running == 0; }));
}

TEST_F(ApiTest, WhileLoadingItSaysSo) {
  start({}, {}, Phase::kLoading);
  EXPECT_EQ(json::parse(RawClient(port()).get("/health").body)["status"], "loading");
  const Reply refused = RawClient(port()).post("/v1/completions", R"({"model":"x","prompt":"a"})");
  EXPECT_EQ(refused.status, 503) << "it may yet be found";
  EXPECT_NE(refused.header("Retry-After"), "");
}

TEST_F(ApiTest, MetricsCount) {
  start_saying("Hello world");
  post("/v1/chat/completions", chat());
  post("/v1/chat/completions", chat({{"max_tokens", 1}}));
  const std::string text = RawClient(port()).get("/metrics").body;
  for (const char* line :
       {"vllm:num_requests_running{engine=\"0\",model_name=\"fake-model\"} 0", "vllm:num_requests_waiting{",
        "vllm:kv_cache_usage_perc{", "vllm:prompt_tokens_total{",
        "vllm:generation_tokens_total{engine=\"0\",model_name=\"fake-model\"} 3",
        "finished_reason=\"length\",model_name=\"fake-model\"} 1", "vllm:time_to_first_token_seconds_count{",
        "vllm:iteration_tokens_total_bucket{", "vllm:inter_token_latency_seconds_bucket{",
        "vllm:e2e_request_latency_seconds_sum{",
        "deepwell:http_requests_total{method=\"POST\",route=\"/v1/chat/completions\",status=\"200\"} 2",
        "process_resident_memory_bytes "}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  }
}

TEST_F(ApiTest, TokensAndBack) {
  start_saying("ok");
  const json tokens = post("/tokenize", {{"prompt", "Hello<|im_end|>"}, {"return_token_strs", true}});
  EXPECT_EQ(tokens["tokens"], json::array({FakeTokenizer::kFirstWord, FakeTokenizer::kTurnEnd}));
  EXPECT_EQ(tokens["count"], 2);
  EXPECT_EQ(tokens["token_strs"][0], "Hello");
  EXPECT_EQ(post("/tokenize", {{"content", "<|im_end|>"}, {"parse_special", false}})["count"], 10);
  EXPECT_GT(post("/tokenize", {{"messages", chat()["messages"]}})["count"], 5);
  EXPECT_EQ(post("/detokenize", {{"tokens", tokens["tokens"]}})["content"], "Hello<|im_end|>");
  expect_refused("/tokenize", {{"prompt", 1}}, "prompt");
  expect_refused("/tokenize", json::object(), "prompt");
  expect_refused("/detokenize", {{"tokens", {-1}}}, "tokens");
  expect_refused("/detokenize", {{"tokens", {"x"}}}, "tokens");
}

TEST_F(ApiTest, TheLogHasNumbersAndNeverText) {
  start_saying("the-secret-answer");
  post("/v1/chat/completions",
       chat({{"messages", {{{"role", "user"}, {"content", "the-secret-question"}}}}}));
  ASSERT_TRUE(eventually([&] { return log().find('\n') != std::string::npos; }));
  const std::string line = log();
  EXPECT_EQ(line.find("secret"), std::string::npos);
  for (const char* part : {"POST /v1/chat/completions 200", "127.0.0.1", "fake-model", "stop"}) {
    EXPECT_NE(line.find(part), std::string::npos) << line;
  }
  RawClient client(port());
  client.get("/x%0d%0aforged%20line");
  ASSERT_TRUE(eventually([&] { return log().find("404") != std::string::npos; }));
  EXPECT_EQ(log().find("\nforged"), std::string::npos);
}

}  // namespace
}  // namespace deepwell::fakes
