// SPDX-License-Identifier: Apache-2.0
// Goal: a model that was taught no tools is told of them in words, and sees earlier calls and results; who
// knows tools is left alone. Method: conversations before and after.
#include "text/chat/spelled_tools.h"

#include <gtest/gtest.h>

namespace deepwell {
namespace {

const Tool kWeather{"weather", R"({"name":"weather","parameters":{"type":"object"}})"};
const Tool kTime{"time", R"({"name":"time"})"};

Conversation asking() { return {.messages = {{"user", "Rain?"}}, .tools = {kWeather, kTime}}; }

TEST(SpelledTools, StandInTheSystemMessage) {
  const Conversation without = with_spelled_tools(asking());
  ASSERT_EQ(without.messages.size(), 2U);
  EXPECT_EQ(without.messages[0].role, "system");
  const std::string& text = without.messages[0].content;
  EXPECT_NE(text.find("{\"type\": \"function\", \"function\": {\"name\": \"weather\", \"parameters\": "
                      "{\"type\": \"object\"}}}\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("\"time\""), std::string::npos);
  EXPECT_NE(text.find("<tool_call>"), std::string::npos);
  EXPECT_EQ(text.find("must call"), std::string::npos);
  EXPECT_TRUE(without.tools.empty());

  Conversation before = asking();
  before.messages.insert(before.messages.begin(), Message{"system", "Be brief."});
  const Conversation after = with_spelled_tools(before);
  ASSERT_EQ(after.messages.size(), 2U);
  EXPECT_TRUE(after.messages[0].content.starts_with("Be brief.\n\n# Tools"));
}

TEST(SpelledTools, OrBeforeTheFirstQuestion) {
  const Conversation spelled = with_spelled_tools(asking(), SpelledIn::kFirstUser);
  ASSERT_EQ(spelled.messages.size(), 1U);
  EXPECT_TRUE(spelled.messages[0].content.starts_with("# Tools"));
  EXPECT_TRUE(spelled.messages[0].content.ends_with("\n\nRain?"));
}

TEST(SpelledTools, OnlyWhatIsOffered) {
  Conversation named = asking();
  named.tool_choice = {ToolChoice::Kind::kNamed, "time"};
  const std::string text = with_spelled_tools(named).messages[0].content;
  EXPECT_EQ(text.find("weather"), std::string::npos);
  EXPECT_NE(text.find("must call"), std::string::npos);
  Conversation none = asking();
  none.tool_choice.kind = ToolChoice::Kind::kNone;
  EXPECT_EQ(with_spelled_tools(none).messages.size(), 1U);
}

TEST(SpelledTools, EarlierCallsAndResultsAreText) {
  Conversation chat{.messages = {{"user", "Rain?"},
                                 {"assistant", "Let me see."},
                                 {"tool", "no"},
                                 {"tool", "12:00"},
                                 {"user", "Thanks"}}};
  chat.messages[1].tool_calls = {{"c1", "weather", R"({"in":"Ulm"})"}, {"c2", "time", "nonsense"}};
  const Conversation spelled = with_spelled_tools(chat);
  ASSERT_EQ(spelled.messages.size(), 4U);
  EXPECT_EQ(
      spelled.messages[1].content,
      "Let me see.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"in\": \"Ulm\"}}\n</tool_call>\n"
      "<tool_call>\n{\"name\": \"time\", \"arguments\": {}}\n</tool_call>");
  EXPECT_TRUE(spelled.messages[1].tool_calls.empty());
  EXPECT_EQ(spelled.messages[2].role, "user");
  EXPECT_EQ(spelled.messages[2].content,
            "<tool_response>\nno\n</tool_response>\n<tool_response>\n12:00\n</tool_response>");
}

TEST(SpelledTools, AreForModelsThatKnowNone) {
  EXPECT_TRUE(wants_spelled_tools(ReplyLanguage::kPlain, asking()));
  EXPECT_TRUE(wants_spelled_tools(ReplyLanguage::kThinking, asking()));
  EXPECT_FALSE(wants_spelled_tools(ReplyLanguage::kHermes, asking()));
  EXPECT_FALSE(wants_spelled_tools(ReplyLanguage::kPlain, {.messages = {{"user", "Hi"}}}));
  EXPECT_TRUE(wants_spelled_tools(ReplyLanguage::kPlain, {.messages = {{"tool", "42"}}}));
}

}  // namespace
}  // namespace deepwell
