// SPDX-License-Identifier: Apache-2.0
// Goal: thinking and calls of tools come in their own fields, whole and streamed, and go back into prompts.
// Method: real sockets over an engine that says what a model of Qwen's manner would.
#include "server/server_fixture.h"

namespace deepwell::fakes {
namespace {

constexpr const char* kQwen = "<think> <tool_call> enable_thinking";

class ChatToolsTest : public ServerTest {
 protected:
  void start_qwen_saying(std::string_view text) {
    Script script;
    script.reply = tokens_of(text);
    chat_source_ = kQwen;
    start(std::move(script));
  }
  static json tools() {
    return {{{"type", "function"}, {"function", {{"name", "f"}, {"parameters", {{"type", "object"}}}}}},
            {{"type", "function"}, {"function", {{"name", "g"}}}}};
  }
};

constexpr const char* kSaid =
    "<think>\nhm\n</think>\n\nOn it.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": "
    "\"你\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>";

TEST_F(ChatToolsTest, AWholeAnswer) {
  start_qwen_saying(kSaid);
  const json answer = post("/v1/chat/completions", chat({{"tools", tools()}}));
  const json& message = answer["choices"][0]["message"];
  EXPECT_EQ(message["reasoning_content"], "hm");
  EXPECT_EQ(message["content"], "On it.");
  ASSERT_EQ(message["tool_calls"].size(), 2U);
  EXPECT_EQ(message["tool_calls"][0]["type"], "function");
  EXPECT_EQ(message["tool_calls"][0]["function"]["name"], "f");
  EXPECT_EQ(message["tool_calls"][0]["function"]["arguments"], "{\"a\": \"你\"}");
  EXPECT_TRUE(message["tool_calls"][1]["id"].get<std::string>().starts_with("call_01_"));
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "tool_calls");
}

TEST_F(ChatToolsTest, AStreamIsTheSame) {
  start_qwen_saying(kSaid);
  const auto events = stream("/v1/chat/completions", chat({{"tools", tools()}}));
  std::string reasoning, content;
  std::vector<std::pair<std::string, std::string>> calls;
  for (const json& event : events) {
    const json& delta = event["choices"][0]["delta"];
    reasoning += delta.value("reasoning_content", "");
    content += delta.value("content", "");
    for (const json& call : delta.value("tool_calls", json::array())) {
      if (call.contains("id")) {
        EXPECT_EQ(call["index"], calls.size());
        calls.emplace_back(call["function"]["name"], "");
      }
      calls.back().second += call["function"]["arguments"].get<std::string>();
    }
  }
  EXPECT_EQ(reasoning, "hm");
  EXPECT_EQ(content, "On it.");
  ASSERT_EQ(calls.size(), 2U);
  EXPECT_EQ(calls[0], (std::pair<std::string, std::string>("f", "{\"a\": \"你\"}")));
  EXPECT_EQ(calls[1], (std::pair<std::string, std::string>("g", "{}")));
  EXPECT_EQ(events.back()["choices"][0]["finish_reason"], "tool_calls");
}

TEST_F(ChatToolsTest, WithoutToolsACallIsText) {
  start_qwen_saying("x <tool_call>{\"name\": \"f\"}</tool_call>");
  for (const json& body : {chat(), chat({{"tools", tools()}, {"tool_choice", "none"}})}) {
    const json answer = post("/v1/chat/completions", body);
    EXPECT_EQ(answer["choices"][0]["message"]["content"], "x <tool_call>{\"name\": \"f\"}</tool_call>");
    EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
  }
}

TEST_F(ChatToolsTest, StopStringsCountInTheAnswerOnly) {
  start_qwen_saying("<think>a STOP b</think>c STOP d");
  const json answer = post("/v1/chat/completions", chat({{"stop", "STOP"}, {"logprobs", true}}));
  EXPECT_EQ(answer["choices"][0]["message"]["reasoning_content"], "a STOP b");
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "c ");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
  const json& tokens = answer["choices"][0]["logprobs"]["content"];
  EXPECT_EQ(tokens.back()["token"], " ");
}

TEST_F(ChatToolsTest, TokensWithoutTextStillBringTheirLogprobs) {
  start_qwen_saying(kSaid);
  const json body = chat({{"tools", tools()}, {"logprobs", true}});
  std::size_t streamed = 0;
  for (const json& event : stream("/v1/chat/completions", body)) {
    const json& logprobs = event["choices"][0]["logprobs"];
    if (!logprobs.is_null()) streamed += logprobs["content"].size();
  }
  EXPECT_EQ(streamed, tokens_of(kSaid).size());
  const json whole = post("/v1/chat/completions", body);
  EXPECT_EQ(whole["choices"][0]["logprobs"]["content"].size(), tokens_of(kSaid).size());
}

TEST_F(ChatToolsTest, ABegunAnswerIsContinued) {
  start_qwen_saying(" world");
  const json messages = {{{"role", "user"}, {"content", "Hi"}},
                         {{"role", "assistant"}, {"content", "Hello"}, {"prefix", true}}};
  post("/v1/chat/completions", chat({{"messages", messages}}));
  const std::vector<Token> prompt = engine_->last_request().prompt;
  ASSERT_FALSE(prompt.empty());
  EXPECT_EQ(prompt.back(), tokens_of("Hello").back());
}

TEST_F(ChatToolsTest, HistoryTakesCallsAndResults) {
  start_qwen_saying("done");
  const json messages = {
      {{"role", "user"}, {"content", "Hi"}},
      {{"role", "assistant"},
       {"content", nullptr},
       {"tool_calls",
        {{{"id", "c1"}, {"type", "function"}, {"function", {{"name", "f"}, {"arguments", "{}"}}}}}}},
      {{"role", "tool"}, {"tool_call_id", "c1"}, {"content", "42"}}};
  for (const json& more :
       {json::object(), json{{"thinking", {{"type", "disabled"}}}}, json{{"reasoning_effort", "high"}},
        json{{"enable_thinking", false}}, json{{"chat_template_kwargs", {{"enable_thinking", true}}}}}) {
    json body = chat({{"messages", messages}, {"tools", tools()}});
    body.update(more);
    EXPECT_EQ(post("/v1/chat/completions", body)["choices"][0]["message"]["content"], "done");
  }
}

TEST_F(ChatToolsTest, WhatCannotBeIsRefusedByName) {
  start_qwen_saying("x");
  const auto refused = [&](const json& more, const std::string& param) {
    const json answer = post("/v1/chat/completions", chat(more), 400);
    EXPECT_EQ(answer["error"]["param"], param) << answer;
  };
  refused({{"reasoning_effort", "huge"}}, "reasoning_effort");
  refused({{"thinking", {{"type", "perhaps"}}}}, "thinking.type");
  refused({{"tool_choice", "required"}}, "tool_choice");
  refused({{"tools", tools()}, {"tool_choice", {{"type", "function"}, {"function", {{"name", "h"}}}}}},
          "tool_choice");
  refused({{"tools", {{{"type", "function"}, {"function", {{"name", ""}}}}}}}, "tools[0].function.name");
  refused({{"messages", {{{"role", "user"}, {"content", "a"}, {"prefix", true}}}}}, "messages[0].prefix");
  refused(
      {{"messages",
        {{{"role", "assistant"}, {"content", "a"}, {"prefix", true}}, {{"role", "user"}, {"content", "b"}}}}},
      "messages[0].prefix");
  refused({{"messages", {{{"role", "assistant"}, {"tool_calls", {{{"id", "1"}}}}}}}},
          "messages[0].tool_calls[0].function");
}

/// A model whose template knows no tools.
class PlainToolsTest : public ChatToolsTest {
 protected:
  std::string prompt() const {
    std::string text;
    for (const Token token : engine_->last_request().prompt)
      text += FakeTokenizer().token_bytes(token, /*show_control=*/true);
    return text;
  }
};

TEST_F(PlainToolsTest, CallsWhatItWasToldOf) {
  start_saying("Well.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>");
  const json answer = post("/v1/chat/completions", chat({{"tools", tools()}}));
  const json& choice = answer["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_EQ(choice["message"]["content"], "Well.");
  ASSERT_EQ(choice["message"]["tool_calls"].size(), 1U);
  EXPECT_EQ(choice["message"]["tool_calls"][0]["function"]["name"], "f");
  EXPECT_TRUE(prompt().starts_with("<|im_start|>system\n# Tools")) << prompt();
  EXPECT_NE(prompt().find("\"name\": \"g\""), std::string::npos);
}

TEST_F(PlainToolsTest, NeedNotCall) {
  start_saying("Just a word.");
  const json answer = post("/v1/chat/completions", chat({{"tools", tools()}}));
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "Just a word.");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
  post("/v1/chat/completions", chat());
  EXPECT_EQ(prompt().find("# Tools"), std::string::npos);
}

TEST_F(PlainToolsTest, SeesWhatItCalledAndWhatCameOfIt) {
  start_saying("Dry.");
  const json messages = {
      {{"role", "user"}, {"content", "Rain?"}},
      {{"role", "assistant"},
       {"content", nullptr},
       {"tool_calls",
        {{{"id", "c1"}, {"type", "function"}, {"function", {{"name", "f"}, {"arguments", "{}"}}}}}}},
      {{"role", "tool"}, {"tool_call_id", "c1"}, {"content", "none"}}};
  post("/v1/chat/completions", chat({{"messages", messages}, {"tools", tools()}}));
  EXPECT_NE(prompt().find("assistant\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>"),
            std::string::npos)
      << prompt();
  EXPECT_NE(prompt().find("user\n<tool_response>\nnone\n</tool_response>"), std::string::npos) << prompt();
}

TEST_F(ChatToolsTest, OnlyAllowedToolsAreCalled) {
  start_qwen_saying("<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>");
  const auto allowed = [](const char* mode, const char* name) {
    const json entry = {{"type", "function"}, {"function", {{"name", name}}}};
    return json{{"type", "allowed_tools"},
                {"allowed_tools", {{"mode", mode}, {"tools", json::array({entry})}}}};
  };
  const auto called = [&](const json& choice) {
    const json answer = post("/v1/chat/completions", chat({{"tools", tools()}, {"tool_choice", choice}}));
    return answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"];
  };
  EXPECT_EQ(called(allowed("required", "f")), "f");
  EXPECT_EQ(called(allowed("required", "g")), "g") << "whatever the model would rather call";
  for (const json& wrong : {allowed("auto", "h"), allowed("perhaps", "f"), json{{"type", "allowed_tools"}}})
    EXPECT_EQ(post("/v1/chat/completions", chat({{"tools", tools()}, {"tool_choice", wrong}}),
                   400)["error"]["param"],
              "tool_choice");
  const json tool = {{"type", "function"}, {"name", "g"}, {"parameters", {{"type", "object"}}}};
  json other = tool;
  other["name"] = "f";
  const json choice = {{"type", "allowed_tools"},
                       {"mode", "required"},
                       {"tools", json::array({{{"type", "function"}, {"name", "g"}}})}};
  const json response = post("/v1/responses", {{"model", "fake-model"},
                                               {"input", "Hi"},
                                               {"tools", json::array({tool, other})},
                                               {"tool_choice", choice}});
  EXPECT_EQ(response["output"].back()["name"], "g") << response;
  EXPECT_EQ(response["tool_choice"], choice);
}

}  // namespace
}  // namespace deepwell::fakes
