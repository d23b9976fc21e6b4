// SPDX-License-Identifier: Apache-2.0
// Goal: models come when somebody asks, and go when nobody does or another needs the room; whoever waits is
// served in turn and never dropped. Method: models without weights of 10 bytes each, in a pool with room for
// two, whose loading is held until a test lets it go.
#include <atomic>
#include <future>

#include "server/server_fixture.h"

namespace deepwell::fakes {
namespace {

using Kind = ModelState::Kind;

/// Models "a", "b" and "c"; "broken" cannot be loaded.
class FakeSource {
 public:
  ModelSource source() {
    return {[](const std::string& name) -> Result<std::string> {
              if (name.size() == 1) return "/models/" + name;
              return Error{ErrorCode::kNotFound, "there is no model " + name};
            },
            [](const std::string&) -> Result<ModelSource::Outline> {
              ModelSource::Outline outline;
              outline.info.context = 77;
              outline.bytes = 10;
              return outline;
            },
            [this](const std::string& path, const std::string& id, const Engine::Progress& progress) {
              return load(path, id, progress);
            },
            {}};
  }
  void release() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  void hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  std::atomic<int> loads{0};
  std::atomic<bool> broken{true};

 private:
  Result<ModelSource::Made> load(const std::string& path, const std::string& id,
                                 const Engine::Progress& progress) {
    ++loads;
    progress(0.5);
    std::unique_lock lock(mutex_);
    while (held_) {
      changed_.wait_for(lock, std::chrono::milliseconds(50));
      lock.unlock();
      progress(0.5);
      lock.lock();
    }
    if (id == "broken" && broken) return Error{ErrorCode::kIo, path + ": no memory for it"};
    Script script;
    script.reply = tokens_of("I am " + id);
    return fake_model(std::move(script), id);
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
};

/// A use that somebody waits for.
struct Asked {
  std::shared_ptr<std::promise<Result<ModelUse>>> promise =
      std::make_shared<std::promise<Result<ModelUse>>>();
  std::future<Result<ModelUse>> result = promise->get_future();
  std::shared_ptr<std::atomic<bool>> left = std::make_shared<std::atomic<bool>>(false);
  bool at_once = false;

  bool is_there() { return result.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }
  bool comes() { return result.wait_for(testing_support::kPatience) == std::future_status::ready; }
};

class ModelPoolTest : public ServerTest {
 protected:
  void make(ModelPoolOptions options = {.bytes_max = 20}) {
    pool_ = std::make_unique<ModelPool>(fake_.source(), options);
    for (const char* id : {"a", "b", "c", "broken"})
      ASSERT_TRUE(pool_->add(id, std::string("/models/") + id));
  }
  Asked ask(const std::string& name, std::optional<double> idle_seconds = std::nullopt) {
    Asked asked;
    asked.at_once = pool_->use(
        name, {[promise = asked.promise](Result<ModelUse> use) { promise->set_value(std::move(use)); },
               {},
               [left = asked.left] { return left->load(); },
               idle_seconds});
    return asked;
  }
  Kind kind(const std::string& name) { return pool_->find(name)->kind; }
  bool becomes(const std::string& name, Kind wanted) {
    return eventually([&] { return kind(name) == wanted; });
  }
  void TearDown() override {
    fake_.release();
    pool_.reset();
    ServerTest::TearDown();
  }

  FakeSource fake_;
  std::unique_ptr<ModelPool> pool_;
};

TEST_F(ModelPoolTest, LoadsOnceForAllWhoAsk) {
  make();
  fake_.hold();
  Asked one = ask("a"), two = ask("a");
  EXPECT_FALSE(one.at_once);
  EXPECT_TRUE(becomes("a", Kind::kLoading));
  EXPECT_EQ(pool_->find("a")->waiting, 2);
  EXPECT_EQ(pool_->find("a")->info.context, 77) << "as the file's header says";
  EXPECT_FALSE(one.is_there());
  fake_.release();
  ASSERT_TRUE(one.comes() && two.comes());
  const Result<ModelUse> use = one.result.get();
  EXPECT_EQ((**use).id, "a");
  EXPECT_EQ(fake_.loads, 1);
  EXPECT_TRUE(ask("a").at_once);
  EXPECT_TRUE(ask("nobody").at_once);
  EXPECT_EQ(pool_->find("a")->info.context, 4096) << "as loaded";
}

TEST_F(ModelPoolTest, WhoIsLongestUnusedMakesRoom) {
  make();
  for (const char* name : {"a", "b", "a", "c"}) ASSERT_TRUE(ask(name).result.get().ok());
  EXPECT_EQ(kind("a"), Kind::kLoaded);
  EXPECT_EQ(kind("b"), Kind::kUnloaded);
  EXPECT_EQ(kind("c"), Kind::kLoaded);
}

TEST_F(ModelPoolTest, WhoIsInUseMakesRoomWhenItsRequestsHaveEnded) {
  make({.bytes_max = 10});
  Asked first = ask("a");
  ASSERT_TRUE(first.comes());
  auto use = std::make_optional(first.result.get());
  Asked other = ask("b");
  EXPECT_TRUE(becomes("a", Kind::kLeaving));
  Asked late = ask("a");
  EXPECT_FALSE(late.at_once) << "those who come later wait for their turn";
  EXPECT_FALSE(other.is_there());
  use.reset();
  ASSERT_TRUE(other.comes());
  EXPECT_EQ(kind("a"), Kind::kUnloaded);
  EXPECT_FALSE(late.is_there());
  EXPECT_TRUE(other.result.get().ok());
  EXPECT_TRUE(late.comes());
}

TEST_F(ModelPoolTest, NobodyLeavesForSomebodyWhoLeft) {
  make({.bytes_max = 10});
  Asked first = ask("a");
  ASSERT_TRUE(first.comes());
  const Result<ModelUse> use = first.result.get();
  Asked other = ask("b");
  EXPECT_TRUE(becomes("a", Kind::kLeaving));
  Asked late = ask("a");
  *other.left = true;
  EXPECT_TRUE(late.comes());
  EXPECT_FALSE(other.result.get().ok());
  EXPECT_EQ(fake_.loads, 1);
}

TEST_F(ModelPoolTest, ManyUsersOfManyModelsAreAllServed) {
  make({.bytes_max = 10});
  std::vector<std::thread> users;
  std::atomic<int> served{0};
  for (int user = 0; user < 6; ++user) {
    users.emplace_back([&, user] {
      for (int i = 0; i < 20; ++i) {
        const std::string name(1, static_cast<char>('a' + (user + i) % 3));
        Asked asked = ask(name);
        if (!asked.comes()) return;
        const Result<ModelUse> use = asked.result.get();
        served += use.ok() && (**use).id == name ? 1 : 0;
      }
    });
  }
  for (std::thread& user : users) user.join();
  EXPECT_EQ(served, 6 * 20);
}

TEST_F(ModelPoolTest, GoesWhenNobodyAsks) {
  make({.bytes_max = 20, .idle_seconds = 0.05});
  Asked one = ask("a");
  ASSERT_TRUE(one.comes());
  auto use = std::make_optional(one.result.get());
  ASSERT_TRUE(ask("b").comes());
  EXPECT_TRUE(becomes("b", Kind::kUnloaded));
  EXPECT_EQ(kind("a"), Kind::kLoaded) << "in use";
  use.reset();
  EXPECT_TRUE(becomes("a", Kind::kUnloaded));
  ASSERT_TRUE(ask("b", -1).comes());
  ASSERT_TRUE(ask("c", 0).comes());
  EXPECT_TRUE(becomes("c", Kind::kUnloaded));
  ASSERT_TRUE(ask("a").comes());
  EXPECT_TRUE(becomes("a", Kind::kUnloaded));
  EXPECT_EQ(kind("b"), Kind::kLoaded) << "its last user wanted it to stay";
  ASSERT_TRUE(ask("b", 1000).comes());
  EXPECT_NEAR(*pool_->find("b")->expires_seconds, 1000, 100);
}

TEST_F(ModelPoolTest, UnloadedByHandItComesBackWhenAskedFor) {
  make();
  ASSERT_TRUE(ask("a").comes());
  ASSERT_TRUE(pool_->unload("a").ok());
  EXPECT_TRUE(becomes("a", Kind::kUnloaded));
  EXPECT_TRUE(*pool_->unload("a"));
  EXPECT_EQ(pool_->unload("nobody").error().code, ErrorCode::kNotFound);
  Asked again = ask("a");
  EXPECT_FALSE(again.at_once);
  EXPECT_TRUE(again.comes());
}

TEST_F(ModelPoolTest, AFailureIsToldAndTriedAgain) {
  make();
  Asked asked = ask("broken");
  ASSERT_TRUE(asked.comes());
  EXPECT_EQ(asked.result.get().error().message, "/models/broken: no memory for it");
  EXPECT_EQ(pool_->find("broken")->error, "/models/broken: no memory for it");
  fake_.broken = false;
  Asked again = ask("broken");
  ASSERT_TRUE(again.comes());
  EXPECT_TRUE(again.result.get().ok());
  EXPECT_EQ(pool_->find("broken")->error, "");
}

TEST_F(ModelPoolTest, NamesMoveFromVersionToVersion) {
  make();
  ASSERT_TRUE(pool_->alias("prod", "a"));
  Asked before = ask("prod");
  ASSERT_TRUE(before.comes());
  const Result<ModelUse> use = before.result.get();
  ASSERT_TRUE(pool_->alias("prod", "b"));
  Asked after = ask("prod");
  ASSERT_TRUE(after.comes());
  EXPECT_EQ((**after.result.get()).id, "b");
  EXPECT_EQ((**use).id, "a") << "requests under way are not touched";
  EXPECT_FALSE(pool_->alias("a", "b").ok());
  EXPECT_FALSE(pool_->alias("new", "nobody").ok());
  ASSERT_TRUE(pool_->alias("new", "d")) << "found by name";
  EXPECT_EQ(pool_->find("new")->path, "/models/d");
  EXPECT_FALSE(pool_->add("a", "/elsewhere").ok());
}

// However an operator names it while it is swapped in, its users' name for it stays.
TEST_F(ModelPoolTest, AModelHasTheIdThatItWouldHaveHadFromTheStart) {
  ModelSource source = fake_.source();
  source.find = [](const std::string& name) -> Result<std::string> {
    if (name == "e" || name == "/models/e") return std::string("/models/e");
    if (name == "a" || name == "/models/a") return std::string("/models/a");
    return Error{ErrorCode::kNotFound, "there is no model " + name};
  };
  source.id_of = [](const std::string&, const std::string& path) { return path.substr(path.rfind('/') + 1); };
  pool_ = std::make_unique<ModelPool>(source, ModelPoolOptions{.bytes_max = 10});
  ASSERT_TRUE(pool_->add("a", "/models/a"));
  std::vector<std::thread> operators;
  std::atomic<int> known{0};
  for (int i = 0; i < 8; ++i)
    operators.emplace_back([&, i] { known += pool_->know(i % 2 == 0 ? "/models/e" : "e").ok() ? 1 : 0; });
  for (std::thread& each : operators) each.join();
  EXPECT_EQ(known, 8);
  ASSERT_TRUE(pool_->know("/models/a")) << "known by its id";
  EXPECT_EQ(pool_->list().size(), 2U) << "no file twice";
  for (const char* name : {"e", "/models/e", "a", "/models/a", "e"}) {
    Asked asked = ask(name);
    ASSERT_TRUE(asked.comes()) << name;
    const Result<ModelUse> use = asked.result.get();
    ASSERT_TRUE(use.ok()) << name;
    EXPECT_EQ((**use).id, std::string(name).substr(std::string(name).rfind('/') + 1));
  }
}

TEST_F(ModelPoolTest, WhoWaitsAtTheEndHearsSo) {
  make();
  fake_.hold();
  Asked one = ask("a"), two = ask("b");
  EXPECT_TRUE(becomes("a", Kind::kLoading));
  std::thread stopper([&] { pool_->stop(); });
  EXPECT_TRUE(eventually([&] { return ask("c").at_once; }));
  fake_.release();
  stopper.join();
  EXPECT_EQ(two.result.get().error().code, ErrorCode::kCancelled);
  ASSERT_TRUE(one.comes());
}

/// The same over HTTP.
class ManyModelsTest : public ServerTest {
 protected:
  void serve(ModelPoolOptions options = {.bytes_max = 10}) {
    service_ = std::make_unique<Service>(fake_.source(), options);
    for (const char* id : {"a", "b"}) ASSERT_TRUE(service_->models.add(id, std::string("/models/") + id));
    service_->set_phase(Phase::kReady);
    auto app = App::start({}, *service_);
    ASSERT_TRUE(app.ok());
    app_ = std::move(*app);
  }
  void TearDown() override {
    fake_.release();
    ServerTest::TearDown();
  }
  static json ask(const char* model, bool stream = false) {
    return chat({{"model", model}, {"stream", stream}});
  }
  json get(const std::string& path) { return json::parse(RawClient(port()).get(path).body); }

  FakeSource fake_;
};

TEST_F(ManyModelsTest, AStreamSeesItsModelBeingLoaded) {
  serve();
  fake_.hold();
  RawClient client(port());
  client.send_post("/v1/chat/completions", ask("a", true).dump());
  ASSERT_TRUE(client.receive_until("text/event-stream")) << "the head comes at once";
  EXPECT_TRUE(client.receive_until(": loading model=a done=50%"));
  EXPECT_EQ(get("/v1/models/a")["state"], "loading");
  EXPECT_EQ(get("/deepwell/status")["models"][0]["waiting_for_model"], 1);
  fake_.release();
  EXPECT_TRUE(client.receive_until("[DONE]"));
  EXPECT_EQ(post("/v1/chat/completions", ask("b"))["choices"][0]["message"]["content"], "I am b");
  const json models = get("/v1/models")["data"];
  EXPECT_EQ(models[0]["state"], "unloaded");
  EXPECT_EQ(models[1]["state"], "loaded");
}

TEST_F(ManyModelsTest, ARefusalAfterTheHeadIsAnEvent) {
  serve();
  fake_.hold();
  RawClient client(port());
  json body = ask("a", true);
  body["messages"][0]["content"] = std::string(5000, 'x');
  client.send_post("/v1/chat/completions", body.dump());
  ASSERT_TRUE(client.receive_until("text/event-stream"));
  fake_.release();
  EXPECT_TRUE(client.receive_until("context_length_exceeded"));
  EXPECT_NE(client.input.find("event: error\ndata: {\"error\""), std::string::npos);
}

TEST_F(ManyModelsTest, AStreamOfResponsesNumbersItsRefusal) {
  serve();
  fake_.hold();
  RawClient client(port());
  client.send_post("/v1/responses",
                   json({{"model", "a"}, {"stream", true}, {"input", std::string(5000, 'x')}}).dump());
  ASSERT_TRUE(client.receive_until("text/event-stream"));
  fake_.release();
  ASSERT_TRUE(client.receive_until("event: error\ndata: "));
  const Reply reply = client.read_reply();
  const std::size_t at = reply.body.find("event: error\ndata: ");
  ASSERT_NE(at, std::string::npos) << reply.body;
  const json event = json::parse(reply.body.substr(at + 19, reply.body.find("\n\n", at) - at - 19));
  EXPECT_EQ(event["type"], "error");
  EXPECT_EQ(event["code"], "context_length_exceeded");
  EXPECT_EQ(event["sequence_number"], 0);
}

TEST_F(ManyModelsTest, EveryApiLoads) {
  serve();
  EXPECT_EQ(post("/tokenize", {{"model", "b"}, {"prompt", "abc"}})["count"], 3);
  EXPECT_EQ(post("/detokenize", {{"model", "a"}, {"tokens", {97}}})["prompt"], "a");
  EXPECT_EQ(post("/v1/embeddings", {{"model", "b"}, {"input", "x"}})["data"].size(), 1U);
  EXPECT_EQ(post("/v1/messages/count_tokens",
                 {{"model", "a"}, {"messages", {{{"role", "user"}, {"content", "x"}}}}})
                .contains("input_tokens"),
            true);
  EXPECT_EQ(post("/api/show", {{"model", "b"}})["details"]["family"], "fake");
  post("/v1/chat/completions", ask("nobody"), 404);
}

TEST_F(ManyModelsTest, OllamasKeepAlive) {
  serve({.bytes_max = 20});
  const auto running = [&] { return get("/api/ps")["models"]; };
  const json body = {{"model", "a"}, {"prompt", "x"}, {"stream", false}};
  json kept = body;
  kept["keep_alive"] = "10m";
  post("/api/generate", kept);
  ASSERT_TRUE(eventually([&] { return running().size() == 1 && running()[0]["expires_at"] < "9999"; }));
  kept["keep_alive"] = -1;
  post("/api/generate", kept);
  EXPECT_TRUE(eventually([&] { return running()[0]["expires_at"] > "9999"; }));
  EXPECT_EQ(post("/api/generate", {{"model", "a"}, {"keep_alive", 0}})["done_reason"], "unload");
  EXPECT_TRUE(eventually([&] { return running().empty(); }));
  EXPECT_EQ(post("/api/generate", {{"model", "b"}})["done_reason"], "load");
  EXPECT_EQ(running().size(), 1U);
  kept["keep_alive"] = "soon";
  post("/api/generate", kept, 400);
}

TEST_F(ManyModelsTest, TheOperatorLoadsUnloadsAndRenames) {
  serve();
  EXPECT_EQ(post("/admin/models", {{"action", "load"}, {"model", "a"}})["state"], "loaded");
  EXPECT_EQ(post("/admin/models", {{"action", "alias"}, {"model", "d"}, {"alias", "prod"}})["id"], "d");
  EXPECT_EQ(post("/v1/chat/completions", ask("prod"))["choices"][0]["message"]["content"], "I am d");
  post("/admin/models", {{"action", "unload"}, {"model", "prod"}});
  EXPECT_TRUE(eventually([&] { return get("/admin/models")["models"][2]["state"] == "unloaded"; }));
  post("/admin/models", {{"action", "load"}, {"model", "nobody"}}, 404);
  post("/admin/models", {{"action", "burn"}, {"model", "a"}}, 400);
  post("/admin/models", {{"action", "alias"}, {"model", "a"}}, 400);
  EXPECT_EQ(post("/v1/chat/completions", ask("broken"), 404)["error"]["code"], "model_not_found");
}

}  // namespace
}  // namespace deepwell::fakes
