// SPDX-License-Identifier: Apache-2.0
// Goal: a prompt that finds little in the cache is told where it parts from which earlier one, of its own
// user alone. Method: real sockets over a scripted engine, whose tokens are bytes and a few words.
#include "server/server_fixture.h"

namespace deepwell::fakes {
namespace {

class ExplainTest : public ServerTest {
 protected:
  json explain(const json& body, const std::string& key = "") {
    const std::string header = key.empty() ? "" : "Authorization: Bearer " + key + "\r\n";
    return json::parse(RawClient(port()).post("/v1/prefix/explain", body.dump(), header).body);
  }
};

TEST_F(ExplainTest, SaysWhereTwoPromptsPart) {
  start_saying("ok");
  EXPECT_EQ(explain({{"prompt", "abc"}})["closest"], nullptr);
  const std::string rules(100, 'r');
  const json first = post("/v1/completions", {{"prompt", rules + " 10:41 你好 go"}});
  post("/v1/completions", {{"prompt", "something else"}});
  const json told = explain({{"prompt", rules + " 10:52 你好 go"}});
  EXPECT_EQ(told["prompt_tokens"], 111);
  EXPECT_EQ(told["cached_tokens"], 64);
  EXPECT_EQ(told["closest"]["request"], first["id"]);
  EXPECT_EQ(told["closest"]["common_tokens"], 104);
  EXPECT_EQ(told["closest"]["common_characters"], 104);
  EXPECT_EQ(told["closest"]["here"], "52 你好 go");
  EXPECT_EQ(told["closest"]["there"], "41 你好 go");
  EXPECT_TRUE(told["closest"]["before"].get<std::string>().ends_with("rrr 10:"));
  EXPECT_EQ(explain(chat())["closest"]["common_tokens"], 0);
  post("/v1/chat/completions", chat());
  EXPECT_EQ(explain(chat())["closest"]["here"], "") << "the same";
}

TEST_F(ExplainTest, NobodySeesAnothersPrompts) {
  AppOptions options;
  options.keys.emplace();
  options.keys->add("mine");
  options.keys->add("yours");
  Script script;
  script.reply = tokens_of("ok");
  start(std::move(script), std::move(options));
  RawClient(port()).post("/v1/completions", R"({"prompt":"my secret"})", "Authorization: Bearer mine\r\n");
  EXPECT_EQ(explain({{"prompt", "my"}}, "yours")["closest"], nullptr);
  EXPECT_EQ(explain({{"prompt", "my"}}, "mine")["closest"]["there"], " secret");
}

TEST_F(ExplainTest, RefusesWhatIsNoPrompt) {
  start_saying("ok");
  post("/v1/prefix/explain", {{"model", "fake-model"}}, 400);
  post("/v1/prefix/explain", {{"prompt", "a"}, {"surprise", 1}}, 400);
  post("/v1/prefix/explain", json::array(), 400);
}

}  // namespace
}  // namespace deepwell::fakes
