// SPDX-License-Identifier: Apache-2.0
// Goal: chats are kept for their user alone, whole or not at all, over restarts and kills; searches find
// Chinese and what looks like a pattern; a user's share is bounded; a file that is none is refused untouched.
#include "server/app/chat_store.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace deepwell {
namespace {
namespace fs = std::filesystem;

class ChatStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("deepwell-chats-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path() const { return folder_ / "chats.sqlite"; }
  std::unique_ptr<ChatStore> open(std::int64_t bytes_max = ChatStore::kUserBytesMax) const {
    auto store = ChatStore::open(path(), bytes_max);
    EXPECT_TRUE(store.ok()) << store.error().message;
    return std::move(*store);
  }
  static ChatChange saying(const std::string& id, const std::string& text) {
    ChatChange change;
    change.messages.push_back({id, nlohmann::json{{"id", id}, {"content", text}}.dump(), text});
    return change;
  }
  fs::path folder_;
};

TEST_F(ChatStoreTest, KeepsWhatWasGivenAndChangesOnlyThat) {
  const auto store = open();
  ChatChange change = saying("m1", "first");
  change.title = "A title";
  change.created_ms = 5;
  change.updated_ms = 7;
  change.state = R"({"leaf":"m1"})";
  ASSERT_TRUE(store->change("ann", "c1", change).ok());
  ASSERT_TRUE(store->change("ann", "c1", saying("m2", "second")).ok());
  ASSERT_TRUE(store->change("ann", "c1", saying("m1", "first, edited")).ok());
  const auto chat = store->find("ann", "c1");
  ASSERT_TRUE(chat.ok());
  EXPECT_EQ((*chat)["title"], "A title");
  EXPECT_EQ((*chat)["created"], 5);
  EXPECT_EQ((*chat)["updated"], 7);
  EXPECT_EQ((*chat)["state"]["leaf"], "m1");
  ASSERT_EQ((*chat)["messages"].size(), 2U);
  EXPECT_EQ((*chat)["messages"][0]["content"], "first, edited");
  EXPECT_EQ((*chat)["messages"][1]["content"], "second");
}

TEST_F(ChatStoreTest, NobodySeesAnothersChats) {
  const auto store = open();
  ASSERT_TRUE(store->change("ann", "c", saying("m", "ann's secret")).ok());
  ASSERT_TRUE(store->change("bob", "c", saying("m", "bob's")).ok());
  EXPECT_EQ(store->find("ann", "c")->at("messages")[0]["content"], "ann's secret");
  EXPECT_EQ(store->find("bob", "c")->at("messages")[0]["content"], "bob's");
  EXPECT_EQ(store->list("bob", "secret")->size(), 0U);
  EXPECT_EQ(store->list("eve", "")->size(), 0U);
  EXPECT_EQ(store->find("eve", "c").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store->remove("eve", "c").error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(store->remove("bob", "c").ok());
  EXPECT_EQ(store->find("bob", "c").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store->find("ann", "c")->at("messages").size(), 1U);
  ASSERT_TRUE(store->change("bob", "c", ChatChange()).ok());  // made anew, it has none of the old messages
  EXPECT_EQ(store->find("bob", "c")->at("messages").size(), 0U);
}

TEST_F(ChatStoreTest, SearchesTitlesAndMessages) {
  const auto store = open();
  const auto add = [&](const std::string& id, std::int64_t when, const std::string& title,
                       const std::string& text) {
    ChatChange change = saying("m", text);
    change.title = title;
    change.updated_ms = when;
    ASSERT_TRUE(store->change("ann", id, change).ok());
  };
  add("old", 1, "Rivers", "The Danube is long");
  add("new", 3, "河流", "长江是亚洲最长的河流");
  add("sql", 2, "100% sure_thing", "a_b is not axb; it's \"quoted\"");
  const auto ids = [&](const std::string& text) {
    std::string all;
    const auto found = store->list("ann", text);
    EXPECT_TRUE(found.ok());
    for (const auto& chat : *found) all += chat["id"].get<std::string>() + " ";
    return all;
  };
  EXPECT_EQ(ids(""), "new sql old ");
  EXPECT_EQ(ids("danube"), "old ");
  EXPECT_EQ(ids("RIVERS"), "old ");
  EXPECT_EQ(ids("长江"), "new ");
  EXPECT_EQ(ids("河"), "new ");
  EXPECT_EQ(ids("a_b"), "sql ");
  EXPECT_EQ(ids("100%"), "sql ");
  EXPECT_EQ(ids("'; DROP TABLE chats; --"), "");
  EXPECT_EQ(ids("it's"), "sql ");
  EXPECT_NE((*store->list("ann", "Danube"))[0]["found"].get<std::string>().find("Danube"), std::string::npos);
  EXPECT_FALSE((*store->list("ann", ""))[0].contains("found"));
}

TEST_F(ChatStoreTest, AUsersShareIsBoundedAndARefusedChangeLeavesNothing) {
  const auto store = open(10'000);
  ASSERT_TRUE(store->change("ann", "c", saying("m1", std::string(3'000, 'x'))).ok());
  ChatChange two = saying("m2", "small");
  two.messages.push_back(saying("m3", std::string(3'000, 'y')).messages[0]);
  const Status full = store->change("ann", "c", two);
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(store->find("ann", "c")->at("messages").size(), 1U);
  ASSERT_TRUE(store->change("bob", "c", two).ok());  // another's share is another's
  ASSERT_TRUE(store->remove("ann", "c").ok());
  ASSERT_TRUE(store->change("ann", "c", two).ok());
}

TEST_F(ChatStoreTest, WhatWasKeptOutlivesAKill) {
  const pid_t child = fork();
  if (child == 0) {
    auto store = ChatStore::open(path());
    for (int i = 0; store.ok() && i < 20; ++i) {
      if (!(*store)->change("ann", "c", saying("m" + std::to_string(i), "text")).ok()) _exit(1);
    }
    kill(getpid(), SIGKILL);
  }
  int state = 0;
  waitpid(child, &state, 0);
  ASSERT_TRUE(WIFSIGNALED(state));
  EXPECT_EQ(open()->find("ann", "c")->at("messages").size(), 20U);
}

TEST_F(ChatStoreTest, OnlyTheOwnerMayReadTheFile) {
  open();
  EXPECT_EQ(fs::status(path()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(ChatStoreTest, AFileThatIsNoneIsRefusedAndLeftAlone) {
  const std::string bytes(5000, 'z');
  std::ofstream(path()) << bytes;
  const auto store = ChatStore::open(path());
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(store.error().message.find("move it away"), std::string::npos);
  std::ifstream file(path());
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), bytes);
  EXPECT_EQ(ChatStore::open("/nonexistent/folder/x").error().code, ErrorCode::kIo);
}

TEST_F(ChatStoreTest, AFileOfALaterVersionIsRefused) {
  open();
  ASSERT_EQ(std::system(("python3 -c \"import sqlite3; c = sqlite3.connect('" + path() +
                         "'); c.execute('PRAGMA user_version = 9')\"")
                            .c_str()),
            0);
  EXPECT_EQ(ChatStore::open(path()).error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace deepwell
