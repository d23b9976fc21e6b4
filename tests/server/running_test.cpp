// SPDX-License-Identifier: Apache-2.0
// Goal: an answer under way can be steered by its id, by its own user alone; the status tells what goes on.
// Method: real sockets over an engine that thinks and answers for as long as it is let.
#include "server/server_fixture.h"

namespace deepwell::fakes {
namespace {

class RunningTest : public ServerTest {
 protected:
  void start_thinking(AppOptions options = {}) {
    Script script;
    script.reply = tokens_of("<think>" + std::string(1500, 'z'));
    script.pause_at = 100;
    chat_source_ = "<think> <tool_call> enable_thinking";
    start(std::move(script), std::move(options));
  }
  void ask(RawClient& client, const std::string& key = "none") {
    const std::string body = chat({{"stream", true}}).dump();
    client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + key +
                "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    ASSERT_TRUE(client.receive_until("\"reasoning_content\":\"z"));
  }
  static std::string id_in(const std::string& text) {
    const std::size_t at = text.find("chatcmpl-");
    return text.substr(at, text.find('"', at) - at);
  }
  int answer_now(const std::string& id, const std::string& key = "none") {
    RawClient client(port());
    client.send("POST /v1/requests/" + id +
                "/answer-now HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + key +
                "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    return client.read_reply().status;
  }
};

TEST_F(RunningTest, ThinkingEndsWhenTheAnswerIsWanted) {
  start_thinking();
  RawClient client(port());
  ask(client);
  EXPECT_EQ(answer_now(id_in(client.input)), 200);
  engine_->pause_at(500);
  ASSERT_TRUE(client.receive_until("\"content\":\"z"));
  EXPECT_EQ(answer_now(id_in(client.input)), 200) << "the answer runs still: nothing to end, and no harm";
  engine_->release();
  ASSERT_TRUE(client.receive_until("[DONE]"));
  EXPECT_TRUE(eventually([&] { return answer_now(id_in(client.input)) == 404; }));
  EXPECT_EQ(answer_now("chatcmpl-1"), 404);
}

TEST_F(RunningTest, AnotherKeyDoesNotReachIt) {
  AppOptions options;
  options.keys.emplace();
  options.keys->add("mine");
  options.keys->add("yours");
  start_thinking(std::move(options));
  RawClient client(port());
  ask(client, "mine");
  EXPECT_EQ(answer_now(id_in(client.input), "yours"), 404);
  EXPECT_EQ(answer_now(id_in(client.input), "mine"), 200);
  engine_->release();
  ASSERT_TRUE(client.receive_until("\"content\":\"z"));
}

TEST_F(RunningTest, TheStatusCountsWhatRuns) {
  start_thinking();
  RawClient client(port());
  ask(client);
  const json status = json::parse(RawClient(port()).get("/deepwell/status").body);
  EXPECT_EQ(status["phase"], "ready");
  EXPECT_GT(status["memory"]["process_bytes"], 1'000'000);
  ASSERT_EQ(status["models"].size(), 1U);
  const json& model = status["models"][0];
  EXPECT_EQ(model["id"], "fake-model");
  EXPECT_EQ(model["running"], 1);
  EXPECT_EQ(model["context"], 4096);
  EXPECT_EQ(model["cache"]["pages"], 100);
  EXPECT_EQ(model["totals"]["requests"], 1);
}

}  // namespace
}  // namespace deepwell::fakes
