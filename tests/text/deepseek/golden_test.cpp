// SPDX-License-Identifier: Apache-2.0
// Goal: prompts equal those of DeepSeek's own code byte for byte, special tokens stand where it has them and
// nowhere else, and replies are read as it reads them.
// Method: goldens of scripts/golden_deepseek_chat.py.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "text/deepseek/deepseek.h"
#include "text/json/json_text.h"
#include "text/reply/support.h"

namespace deepwell {
namespace {
using nlohmann::ordered_json;

/// The rows of a golden file, its abbreviations written out.
ordered_json rows_of(const std::string& name) {
  std::ifstream file(std::string(DEEPWELL_SOURCE_DIR "/tests/golden/deepseek_chat/") + name);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  ordered_json golden = ordered_json::parse(text);
  for (ordered_json& row : golden["rows"]) {
    if (!row[1].is_string()) continue;
    std::string prompt = row[1];
    for (const auto& [key, value] : golden["long"].items()) {
      for (std::size_t at = 0; (at = prompt.find(key, at)) != std::string::npos;)
        prompt.replace(at, key.size(), value.get<std::string>());
    }
    row[1] = prompt;
  }
  return golden["rows"];
}

Conversation conversation_of(const ordered_json& body) {
  Conversation chat;
  for (const ordered_json& given : body["messages"]) {
    Message message{given["role"], given["content"]};
    if (given.contains("reasoning_content")) message.reasoning = given["reasoning_content"];
    message.tool_call_id = given.value("tool_call_id", "");
    message.is_prefix = given.value("prefix", false);
    if (given.contains("tool_calls")) {
      for (const ordered_json& call : given["tool_calls"])
        message.tool_calls.push_back({call["id"], call["function"]["name"], call["function"]["arguments"]});
    }
    chat.messages.push_back(std::move(message));
  }
  if (body.contains("tools")) {
    for (const ordered_json& tool : body["tools"])
      chat.tools.push_back({tool["function"]["name"], tool["function"].dump()});
  }
  if (body.contains("tool_choice")) {
    const ordered_json& choice = body["tool_choice"];
    using Kind = ToolChoice::Kind;
    if (choice.is_object())
      chat.tool_choice = {Kind::kNamed, choice["function"]["name"]};
    else
      chat.tool_choice.kind = choice == "none" ? Kind::kNone : Kind::kRequired;
  }
  if (body.contains("response_format")) {
    const ordered_json& format = body["response_format"];
    chat.response_format.kind = ResponseFormat::Kind::kJsonObject;
    if (format["type"] == "json_schema")
      chat.response_format = {ResponseFormat::Kind::kJsonSchema, format["json_schema"]["schema"].dump()};
  }
  if (body.contains("reasoning_effort")) {
    if (body["reasoning_effort"] == "none")
      chat.thinking = false;
    else
      chat.effort = body["reasoning_effort"];
  }
  if (body.contains("thinking")) chat.thinking = body["thinking"]["type"] == "enabled";
  return chat;
}

const std::vector<std::string> kSpecial = {"<｜begin▁of▁sentence｜>",
                                           "<｜end▁of▁sentence｜>",
                                           "<｜User｜>",
                                           "<｜Assistant｜>",
                                           "<think>",
                                           "</think>",
                                           "｜DSML｜",
                                           "<｜latest_reminder｜>",
                                           "<｜System｜>"};

struct Golden {
  const char* file;
  const char* language;
};
class DeepSeekGoldenTest : public testing::TestWithParam<Golden> {};

TEST_P(DeepSeekGoldenTest, PromptsAreEqual) {
  const auto encoder = make_deepseek_encoder(GetParam().language);
  ASSERT_NE(encoder, nullptr);
  std::size_t checked = 0;
  for (const ordered_json& row : rows_of(GetParam().file)) {
    SCOPED_TRACE(row[0].dump());
    const Result<EncodedPrompt> prompt = encoder->encode(conversation_of(row[0]));
    ASSERT_TRUE(prompt.ok()) << prompt.error().message;
    std::string text;
    std::string special;
    for (const PromptPart& part : prompt->parts) {
      text += part.text;
      for (std::size_t at = 0; part.from_template && at < part.text.size(); ++at) {
        for (std::size_t i = 0; i < kSpecial.size(); ++i) {
          if (part.text.compare(at, kSpecial[i].size(), kSpecial[i]) == 0) special += std::to_string(i);
        }
      }
    }
    const std::string want = row[1];
    ASSERT_TRUE(text == want) << "got:  " << text << "\nwant: " << want;
    if (!row[2].is_null()) {
      ASSERT_EQ(special, row[2].get<std::string>());
    }
    ++checked;
  }
  EXPECT_GE(checked, 60U);
}
INSTANTIATE_TEST_SUITE_P(
    Languages, DeepSeekGoldenTest,
    testing::Values(Golden{"v2.json", "deepseek-v2"}, Golden{"v3.json", "deepseek-v3"},
                    Golden{"r1.json", "deepseek-r1"}, Golden{"v31.json", "deepseek-v3.1"},
                    Golden{"v32.json", "deepseek-v3.2"}, Golden{"v4_first.json", "deepseek-v4-0731"},
                    Golden{"v4_second.json", "deepseek-v4-0731"}, Golden{"v41_first.json", "deepseek-v4.1"},
                    Golden{"v41_second.json", "deepseek-v4.1"}),
    [](const auto& golden) {
      const std::string name = golden.param.file;
      return name.substr(0, name.find('.'));
    });

TEST(DeepSeekReplies, AreReadAsDeepSeekReadsThem) {
  std::size_t checked = 0;
  for (const ordered_json& row : rows_of("replies.json")) {
    const std::string said = row[2];
    SCOPED_TRACE(said);
    ReplyOptions options;
    options.start.in = row[0] == true ? ReplyStart::In::kReasoning : ReplyStart::In::kText;
    options.parse_tools = row[1];
    const auto whole = parse(ReplyLanguage::kDeepSeekDsml, options, {said});
    std::vector<ReplyEvent> shown = whole;  // DeepSeek's stream tells of no call's end
    std::erase_if(shown, [](const ReplyEvent& event) { return event.kind == ReplyEvent::Kind::kToolEnd; });
    std::string want;
    for (const ordered_json& event : row[3])
      want += (want.empty() ? "" : "|") + event[0].get<std::string>() + ':' + event[1].get<std::string>();
    ASSERT_EQ(to_line(shown), want);
    ASSERT_EQ(parse(ReplyLanguage::kDeepSeekDsml, options, characters(said)), whole);
    ASSERT_EQ(parse(ReplyLanguage::kDeepSeekDsml, options, random_pieces(said, 1)), whole);
    ++checked;
  }
  EXPECT_GE(checked, 500U);
}

}  // namespace
}  // namespace deepwell
