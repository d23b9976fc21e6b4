// SPDX-License-Identifier: Apache-2.0
// Goal: what a model says is told apart as its language means it, and nothing depends on where it is cut.
// Method: one line a case; each is fed whole, character by character and in random pieces.
#include "text/reply/reply_parser.h"

#include <gtest/gtest.h>

#include "text/reply/support.h"

namespace deepwell {
namespace {

using In = ReplyStart::In;
constexpr auto kThinking = ReplyLanguage::kThinking;
constexpr auto kTokens = ReplyLanguage::kDeepSeekTokens;
constexpr auto kDsml = ReplyLanguage::kDeepSeekDsml;
constexpr auto kHermes = ReplyLanguage::kHermes;
constexpr auto kLlama3 = ReplyLanguage::kLlama3;

struct Case {
  ReplyLanguage language;
  ReplyStart start;
  const char* said;
  const char* want;
  bool tools = true;
};

const Case kCases[] = {
    // Thinking.
    {kThinking, {In::kReasoning}, "r</think>c", "R:r|T:c"},
    {kThinking, {In::kReasoning}, "\nfoo\n</think>\n\nbar\n", "R:foo|T:bar\n"},
    {kThinking, {In::kReasoning}, "all of it", "R:all of it"},
    {kThinking,
     {In::kReasoning},
     "a < b </thin </thinking> 你好</think>🙂",
     "R:a < b </thin </thinking> 你好|T:🙂"},
    {kThinking, {In::kReasoning}, "\n\n</think>\n\nx", "T:x"},
    {kThinking, {In::kReasoning}, "<think>\nagain\n</think>x", "R:again|T:x"},
    {kThinking, {In::kReasoning}, "a<think>b</think>c", "R:a<think>b|T:c"},
    {kThinking, {In::kReasoning, true}, "\nmore\n</think>\nx", "R:\nmore|T:x"},
    {kThinking, {In::kText}, "<think>\nr\n</think>\n\nc", "R:r|T:c"},
    {kThinking, {In::kText}, "\n\n<think>r</think>c", "R:r|T:c"},
    {kThinking, {In::kText}, "see <think>r</think>c", "T:see <think>rc"},
    {kThinking, {In::kText}, "a</think>\nb", "T:a\nb"},
    {kThinking, {In::kText, true}, "\n\nb", "T:\n\nb"},
    {kThinking, {In::kText}, "\n\n", ""},
    {kThinking, {In::kText}, "<thin", "T:<thin"},
    {kThinking, {In::kText}, "", ""},
    {ReplyLanguage::kPlain,
     {In::kText},
     "\n<think>x</think> <tool_call>",
     "T:\n<think>x</think> <tool_call>"},

    // V3 and R1.
    {kTokens,
     {In::kText},
     "Let me "
     "look.\n\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{"
     "\"city\": "
     "\"Rome\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<"
     "｜tool▁call▁end｜>"
     "<｜tool▁calls▁end｜>",
     "T:Let me look.|C0:get_weather|A:{\"city\": \"Rome\"}|E|C1:now|A:{}|E"},
    {kTokens,
     {In::kReasoning},
     "hm\n</"
     "think>\n\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"code\": "
     "\"```\\nx\"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
     "R:hm|C0:f|A:{\"code\": \"```\\nx\"}|E"},
    // V3.1, and how models of one kind fall into the other.
    {kTokens,
     {In::kText},
     "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\":1}<｜tool▁call▁end｜><"
     "｜tool▁call▁begin｜>g<｜tool▁sep｜>{}"
     "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
     "C0:f|A:{\"a\":1}|E|C1:g|A:{}|E"},
    {kTokens,
     {In::kText},
     "<｜tool▁call▁begin｜>f<｜tool▁sep｜>```json\n{\"a\":1}\n```<｜tool▁call▁end｜> bye",
     "C0:f|A:{\"a\":1}|E|T:bye"},
    {kTokens,
     {In::kText},
     "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n{\"a\":1}\n<｜tool▁call▁end｜>",
     "C0:f|A:{\"a\":1}|E"},
    {kTokens,
     {In::kText},
     "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f{\"a\":1}<｜tool▁calls▁end｜>",
     "C0:f|A:{\"a\":1}|E"},
    {kTokens, {In::kText}, "<｜tool▁call▁begin｜>f<｜tool▁sep｜><｜tool▁call▁end｜>", "C0:f|A:{}|E"},
    // Cut off: in the arguments they are delivered, before them nothing was announced yet and it is text.
    {kTokens, {In::kText}, "<｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": [1, ", "C0:f|A:{\"a\": [1, "},
    {kTokens,
     {In::kText},
     "x<｜tool▁call▁begin｜>function<｜tool▁sep｜>get_w",
     "T:x<｜tool▁call▁begin｜>function<｜tool▁sep｜>get_w"},
    {kTokens,
     {In::kText},
     "<｜tool▁call▁begin｜>no separator<｜tool▁call▁end｜> here",
     "T:<｜tool▁call▁begin｜>no separator<｜tool▁call▁end｜> here"},
    {kTokens, {In::kText}, "<｜tool▁calls▁begin｜> well <｜tool▁calls▁end｜>\nso", "T:well so"},
    {kTokens,
     {In::kText},
     "<｜tool▁call▁begin｜>f<｜tool▁sep｜>{}<｜tool▁call▁end｜>",
     "T:<｜tool▁call▁begin｜>f<｜tool▁sep｜>{}<｜tool▁call▁end｜>",
     false},

    // V3.2, V4, V4.1.
    {kDsml,
     {In::kText},
     "On it.\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"city\" "
     "string=\"true\">Rome \"x\"\n</｜DSML｜parameter>\n<｜DSML｜parameter name=\"n\" "
     "string=\"false\">[1, {\"a\": null}]</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke "
     "name=\"g\">\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>",
     "T:On it.|C0:f|A:{\"city\": \"Rome \\\"x\\\"\\n\", \"n\": [1, {\"a\": null}]}|E|C1:g|A:{}|E"},
    {kDsml,
     {In::kReasoning},
     "I call\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"k\" "
     "string=\"true\">你好 🙂\t</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
     "R:I call|C0:f|A:{\"k\": \"你好 🙂\\t\"}|E"},
    {kDsml,
     {In::kText},
     "<｜DSML｜ calls>\n<｜DSML｜ invoke name=\"f\">\n<｜DSML｜ parameter name=\"k\" "
     "string=\"true\"></｜DSML｜ parameter>\n</｜DSML｜ invoke>\n</｜DSML｜ calls>",
     "C0:f|A:{\"k\": \"\"}|E"},
    {kDsml,
     {In::kToolCalls},
     "<｜DSML｜invoke name=\"f\">\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>",
     "C0:f|A:{}|E"},
    {kDsml,
     {In::kText},
     "<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"a\\b\">as "
     "is</｜DSML｜parameter></｜DSML｜invoke>\nmore",
     "C0:f|A:{\"a\\\\b\": \"as is\"}|E|T:more"},
    {kDsml,
     {In::kText},
     "<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n{\"a\": "
     "1}\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>",
     "C0:f|A:{\"a\": 1}|E"},
    // Ends that are missing, other closing tags than ours in a value, junk between tags.
    {kDsml,
     {In::kText},
     "<｜DSML｜tool_calls><｜DSML｜invoke name=\"f\"><｜DSML｜parameter name=\"k\" "
     "string=\"true\">a</｜DSML｜x></b></｜DSML｜invoke>"
     "</｜DSML｜tool_calls>",
     "C0:f|A:{\"k\": \"a</｜DSML｜x></b>\"}|E"},
    {kDsml,
     {In::kText},
     "<｜DSML｜tool_calls>\nfirst: <｜DSML｜invoke name=\"f\">\nodd <｜DSML｜parameter name=\"k\" "
     "string=\"false\">1</｜DSML｜parameter></｜DSML｜tool_calls>end",
     "T:first: |C0:f|T:odd |A:{\"k\": 1}|E|T:end"},
    {kDsml,
     {In::kText},
     "<｜DSML｜invoke name=\"f\"><｜DSML｜parameter name=\"k\" string=\"true\">half</｜DSML",
     "C0:f|A:{\"k\": \"half</｜DSML"},
    {kDsml, {In::kText}, "the <｜DSML｜ token, <｜DSML｜tool_ca", "T:the <｜DSML｜ token, <｜DSML｜tool_ca"},
    {kDsml, {In::kText}, "<｜DSML｜invoke name=\"f", "T:<｜DSML｜invoke name=\"f"},
    {kDsml, {In::kText}, "<｜DSML｜invoke name=\"f\nx\">", "T:<｜DSML｜invoke name=\"f\nx\">"},
    {kDsml, {In::kText}, "a\n\n<｜DSML｜tool_calls>\n", "T:a\n\n<｜DSML｜tool_calls>\n", false},
    {kDsml, {In::kText}, "<think>a", "T:<think>a"},

    // Hermes and Qwen.
    {kHermes,
     {In::kText},
     "<think>\nr\n</think>\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": "
     "\"x}</tool_call>\"}}\n</tool_call>\n<tool_call>\n{\"arguments\": {}, \"name\": \"g\"}\n</tool_call>",
     "R:r|C0:f|A:{\"a\": \"x}</tool_call>\"}|E|C1:g|A:{}|E"},
    {kHermes, {In::kText}, "ok <tool_call>{\"name\":\"f\"}</tool_call> bye", "T:ok |C0:f|A:{}|E|T: bye"},
    {kHermes, {In::kText}, "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":[1,", "C0:f|A:{\"a\":[1,"},
    {kHermes, {In::kText}, "<tool_call>{\"name\":\"f", "T:<tool_call>{\"name\":\"f"},
    {kHermes, {In::kText}, "the <tool_call> tag", "T:the <tool_call> tag"},
    {kHermes, {In::kText}, "<tool_call>{\"x\": 1}</tool_call>!", "T:<tool_call>{\"x\": 1}</tool_call>!"},
    {kHermes,
     {In::kText},
     "<tool_call>{\"name\": \"f\\u00e9\", \"arguments\": {}}{\"name\": \"g\", \"parameters\": "
     "[1]}</tool_call>",
     "C0:fé|A:{}|E|C1:g|A:[1]|E"},
    {kHermes, {In::kReasoning}, "a <tool_call> is</think>b", "R:a <tool_call> is|T:b"},

    // Llama 3.
    {kLlama3, {In::kText}, "\n{\"name\": \"f\", \"parameters\": {\"a\": \"b\"}}", "C0:f|A:{\"a\": \"b\"}|E"},
    {kLlama3,
     {In::kText},
     "{\"type\": \"function\", \"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": "
     "{\"x\": 2}}",
     "C0:f|A:{}|E|C1:g|A:{\"x\": 2}|E"},
    {kLlama3, {In::kText}, "<|python_tag|>{\"name\": \"f\", \"arguments\": {}}", "C0:f|A:{}|E"},
    {kLlama3, {In::kText}, "{\"answer\": 42}", "T:{\"answer\": 42}"},
    {kLlama3,
     {In::kText},
     "so {\"name\": \"f\", \"parameters\": {}}",
     "T:so {\"name\": \"f\", \"parameters\": {}}"},
    {kLlama3,
     {In::kText},
     "{\"name\": \"f\", \"parameters\": {}}",
     "T:{\"name\": \"f\", \"parameters\": {}}",
     false},
};

TEST(ReplyParser, TellsApartWhatWasSaidHoweverItIsCut) {
  for (const Case& one : kCases) {
    SCOPED_TRACE(one.said);
    const ReplyOptions options{one.start, one.tools, "tail"};
    const std::vector<ReplyEvent> whole = parse(one.language, options, {one.said});
    EXPECT_EQ(to_line(whole), one.want);
    EXPECT_EQ(parse(one.language, options, characters(one.said)), whole);
    for (unsigned seed = 0; seed < 20; ++seed)
      EXPECT_EQ(parse(one.language, options, random_pieces(one.said, seed)), whole);
  }
}

TEST(ReplyParser, NumbersCallsAndNamesThemApart) {
  const auto events =
      parse(kHermes, {{}, true, "x1"},
            {"<tool_call>{\"name\":\"f\"}</tool_call><tool_call>{\"name\":\"f\"}</tool_call>"});
  ASSERT_EQ(events.size(), 6U);
  EXPECT_EQ(events[0].id, "call_00_x1");
  EXPECT_EQ(events[3].id, "call_01_x1");
}

// A long answer comes as it is made: what is held back is only what may become a tag.
TEST(ReplyParser, HoldsBackNoMoreThanATag) {
  for (const ReplyLanguage language : {ReplyLanguage::kPlain, kThinking, kTokens, kDsml, kHermes, kLlama3}) {
    const auto parser = ReplyParser::make(language, {});
    for (int i = 0; i < 2000; ++i) {
      parser->feed(i % 3 == 0 ? "\n" : i % 3 == 1 ? "<" : "text");
      ASSERT_LT(parser->held(), 300U);
    }
    for (int i = 0; i < 2000; ++i) parser->feed("\n");
    EXPECT_LE(parser->held(), 300U);
    parser->finish();
    EXPECT_EQ(parser->held(), 0U);
  }
}

TEST(ReplyParser, NamesWithoutEndAndCallsWithoutNameStayText) {
  for (const auto& [language, opener] :
       {std::pair{kTokens, "<｜tool▁call▁begin｜>"}, std::pair{kDsml, "<｜DSML｜invoke name=\""},
        std::pair{kHermes, "<tool_call>{\"arguments\": [\""}}) {
    const std::string said = opener + std::string(200'000, 'x');
    const auto whole = parse(language, {}, {said});
    EXPECT_EQ(to_line(whole), "T:" + said);
    EXPECT_EQ(parse(language, {}, characters(said)), whole);
  }
}

// Arguments are delivered while they are written, not when the call is over.
TEST(ReplyParser, StreamsArguments) {
  const auto parser = ReplyParser::make(kDsml, {});
  parser->feed(
      "<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"k\" string=\"true\">");
  const auto events = parser->feed("line\n\"one\"");
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].text, "line\\n\\\"one\\\"");
}

}  // namespace
}  // namespace deepwell
