// SPDX-License-Identifier: Apache-2.0
// Goal: every command does what /help says, and what is typed reaches the backend as it was meant.
// Method: a script through a pipe, a fake backend, all output compared or searched.
#include "cli/repl/repl.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cli/repl/fake_backend.h"
#include "cli/repl/settings.h"
#include "cli/repl/visible_text.h"

namespace deepwell {
namespace {

class ReplTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/deepwell-repl-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  int talk(const std::string& script, ReplOptions options = {}) {
    std::FILE *in = std::tmpfile(), *out = std::tmpfile(), *err = std::tmpfile();
    std::fwrite(script.data(), 1, script.size(), in);
    std::rewind(in);
    const int code = run_repl(*LineEditor::open(in, out, ""), backend_, std::move(options), out, err);
    out_ = content(out);
    err_ = content(err);
    std::fclose(in);
    return code;
  }
  static std::string content(std::FILE* file) {
    std::string text(static_cast<std::size_t>(std::ftell(file)), '\0');
    std::rewind(file);
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    return text;
  }

  FakeBackend backend_;
  std::string folder_, out_, err_;
};

TEST_F(ReplTest, AnswersLinesAndRemembersTheConversation) {
  EXPECT_EQ(talk("hello\n\n  \n你好吗\r\nlast line without a break"), 0);
  EXPECT_EQ(out_, "echo: hello\necho: 你好吗\necho: last line without a break\n");
  ASSERT_EQ(backend_.seen.size(), 5U);
  EXPECT_EQ(backend_.seen[1].role, "assistant");
  EXPECT_EQ(backend_.seen[1].content, "echo: hello");
}

TEST_F(ReplTest, JoinsLines) {
  talk("one\\\ntwo\n");
  EXPECT_EQ(backend_.seen.back().content, "one\ntwo");
  talk("\"\"\"\nfirst\n  /second\\\n\"\"\"\n");
  EXPECT_EQ(backend_.seen.back().content, "first\n  /second\\");
  talk("\"\"\"a\nb\"\"\"\n");
  EXPECT_EQ(backend_.seen.back().content, "a\nb");
  talk("\"\"\"one line\"\"\"\n");
  EXPECT_EQ(backend_.seen.back().content, "one line");
  talk("\"\"\"never\nclosed");
  EXPECT_EQ(backend_.seen.back().content, "never\nclosed");
}

TEST_F(ReplTest, SlashesThatAreNoCommands) {
  talk("/etc/hosts?\n");
  EXPECT_EQ(backend_.seen.back().content, "/etc/hosts?");
  talk("//help me\n");
  EXPECT_EQ(backend_.seen.back().content, "/help me");
}

TEST_F(ReplTest, UnknownCommandsGetAHint) {
  EXPECT_EQ(talk("/exti\n/zzzzzz\n/regne\n/clear now\n/he\n"), 0);
  EXPECT_NE(err_.find("unknown command /exti, did you mean /exit?"), std::string::npos) << err_;
  EXPECT_NE(err_.find("unknown command /zzzzzz; /help"), std::string::npos) << err_;
  EXPECT_NE(err_.find("did you mean /regen?"), std::string::npos) << err_;
  EXPECT_NE(err_.find("/clear takes nothing after it"), std::string::npos) << err_;
  EXPECT_NE(err_.find("did you mean /help?"), std::string::npos) << err_;
  EXPECT_EQ(backend_.answers, 0);
}

TEST_F(ReplTest, HelpNamesEveryCommandAndExitLeaves) {
  talk("/help\n/exit\nnot read\n");
  for (const char* name : {"/help", "/exit", "/clear", "/system TEXT", "/set NAME VALUE", "/show",
                           "/save FILE", "/load FILE", "/regen", "/undo", "/stats"})
    EXPECT_NE(out_.find(name), std::string::npos) << name;
  EXPECT_EQ(backend_.answers, 0);
}

TEST_F(ReplTest, SystemTextComesFirstAndIsReplaced) {
  talk("/system Be brief.\nhi\n/system Be long.\nho\n", {"At first", {}, ""});
  ASSERT_EQ(backend_.seen.size(), 4U);
  EXPECT_EQ(backend_.seen[0].role, "system");
  EXPECT_EQ(backend_.seen[0].content, "Be long.");
  talk("/system\nhi\n", {"At first", {}, ""});
  EXPECT_EQ(backend_.seen[0].role, "user");
  talk("a\n/clear\nb\n", {"Stays", {}, ""});
  ASSERT_EQ(backend_.seen.size(), 2U);
  EXPECT_EQ(backend_.seen[0].content, "Stays");
}

TEST_F(ReplTest, SettingsAreChecked) {
  talk(
      "/set temperature 0.5\n/set top_k=40\n/set seed 7\n/set seed default\n/set min_p 2\n/set top_k "
      "1.5\n/set temperatur 1\n"
      "/set top_p nan\n/set top_p\n/set max_tokens -1\nhi\n/set\n");
  const ChatSettings want = {{"max_tokens", -1}, {"temperature", 0.5}, {"top_k", 40}};
  EXPECT_EQ(backend_.seen_settings, want);
  EXPECT_NE(err_.find("min_p takes a number from 0 to 1, not \"2\""), std::string::npos) << err_;
  EXPECT_NE(err_.find("top_k takes a whole number"), std::string::npos);
  EXPECT_NE(err_.find("did you mean temperature?"), std::string::npos);
  EXPECT_NE(err_.find("not \"nan\""), std::string::npos);
  EXPECT_NE(out_.find("temperature        0.5"), std::string::npos) << out_;
}

TEST_F(ReplTest, RegenAndUndo) {
  talk("a\nb\n/regen\n");
  EXPECT_EQ(backend_.answers, 3);
  EXPECT_EQ(backend_.seen.size(), 3U);
  EXPECT_EQ(backend_.seen.back().content, "b");
  talk("a\nb\n/undo\nc\n");
  ASSERT_EQ(backend_.seen.size(), 3U);
  EXPECT_EQ(backend_.seen.back().content, "c");
  talk("/regen\n/undo\n/stats\n");
  EXPECT_NE(err_.find("no message to answer anew"), std::string::npos);
  EXPECT_NE(err_.find("nothing to take back"), std::string::npos);
  EXPECT_NE(err_.find("no answer yet"), std::string::npos);
}

TEST_F(ReplTest, AFailureIsToldAndTheMessageTakenBack) {
  EXPECT_EQ(talk("fail\nok\n"), 1);
  EXPECT_EQ(err_, "error: too much at once\n");
  EXPECT_EQ(backend_.seen.size(), 1U);
}

TEST_F(ReplTest, Stats) {
  talk("a\n/stats\n");
  EXPECT_NE(out_.find("prompt: 10 tokens (4 cached) in 0.50 s, 12.0 tokens/s"), std::string::npos) << out_;
  EXPECT_NE(out_.find("answer: 20 tokens in 2.00 s, 10.0 tokens/s"), std::string::npos);
}

TEST_F(ReplTest, SavesAndLoads) {
  const std::string file = folder_ + "/chat.json";
  talk("/system S\n/set temperature 0.25\n你好 \"q\"\n/save " + file + "\n");
  EXPECT_EQ(err_, "");
  struct stat status {};
  ASSERT_EQ(stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  talk("/load " + file + "\nmore\n");
  ASSERT_EQ(backend_.seen.size(), 4U);
  EXPECT_EQ(backend_.seen[1].content, "你好 \"q\"");
  EXPECT_EQ(backend_.seen_settings.at("temperature"), 0.25);
  talk("/save /nowhere/at/all\n/load /nowhere\n/save\n/load\n/load " + folder_ + "\n");
  EXPECT_NE(err_.find("/nowhere/at/all: cannot be written: No such file"), std::string::npos) << err_;
  EXPECT_NE(err_.find("/save needs a file name"), std::string::npos);
}

TEST_F(ReplTest, BrokenFilesAreRefusedAndChangeNothing) {
  const std::string file = folder_ + "/broken.json";
  for (const char* broken :
       {"", "{", "[]", "{\"messages\":1}", "{\"messages\":[1]}", "{\"messages\":[{\"role\":\"user\"}]}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"system\",\"content\":\"x\"}]}",
        "{\"messages\":[{\"role\":\"x\",\"content\":\"x\"}]}", "{\"messages\":[],\"settings\":{\"top_p\":3}}",
        "{\"messages\":[],\"settings\":{\"top_p\":\"x\"}}", "{\"messages\":[],\"settings\":[]}"}) {
    std::ofstream(file) << broken;
    talk("a\n/load " + file + "\nb\n");
    EXPECT_NE(err_.find(file), std::string::npos) << broken;
    EXPECT_EQ(backend_.seen.size(), 3U) << broken;
  }
}

TEST(VisibleTextTest, KeepsTextAndDropsControls) {
  EXPECT_EQ(visible_text("a\tb\n你好 é\u00a0"), "a\tb\n你好 é\u00a0");
  EXPECT_EQ(visible_text("\x1b[2J\x07\r\x7f\u009b31m\u0085x"), "[2J31mx");
}

}  // namespace
}  // namespace deepwell
