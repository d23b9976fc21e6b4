// SPDX-License-Identifier: Apache-2.0
// Goal: who waits hears so: streams by comments, whole answers by empty lines; a full queue says when to come
// back; deadlines, priorities and keys reach the engine; a stalled engine shows. Method: an engine that does
// nothing by itself; the test calls its sinks.
#include "server/server_fixture.h"

namespace deepwell::fakes {
namespace {
using namespace std::chrono_literals;

class SilentEngine final : public Engine {
 public:
  SilentEngine() {
    info_.vocabulary = 1000;
    info_.context = 4096;
  }
  Result<std::uint64_t> submit(EngineRequest request, std::shared_ptr<TokenSink> sink) override {
    const std::lock_guard lock(mutex_);
    if (full) return Error{ErrorCode::kOverloaded, "2 requests are waiting already; try again in 17 s"};
    requests_.push_back(std::move(request));
    sinks_.push_back(std::move(sink));
    return requests_.size();
  }
  void cancel(std::uint64_t) override {}
  void look_up(std::vector<std::int32_t>, std::string, std::function<void(std::int64_t)> then) override {
    then(0);
  }
  const EngineInfo& info() const override { return info_; }
  EngineStats stats() const override {
    EngineStats stats;
    stats.retry_after_seconds = 16.3;
    stats.stalled_seconds = stalled;
    return stats;
  }
  std::shared_ptr<TokenSink> sink(std::size_t index) {
    const std::lock_guard lock(mutex_);
    return index < sinks_.size() ? sinks_[index] : nullptr;
  }
  EngineRequest request(std::size_t index) {
    const std::lock_guard lock(mutex_);
    return requests_.at(index);
  }
  /// A request counts as under way until its sink is let go.
  void let_go() {
    const std::lock_guard lock(mutex_);
    sinks_.clear();
  }
  std::atomic<bool> full{false};
  std::atomic<double> stalled{0};

 private:
  EngineInfo info_{};
  std::mutex mutex_;
  std::vector<EngineRequest> requests_;
  std::vector<std::shared_ptr<TokenSink>> sinks_;
};

class QueueTest : public ServerTest {
 protected:
  void start_silent(AppOptions options = {}) {
    service_ = std::make_unique<Service>();
    auto model = fake_model({});
    model->engine = std::make_unique<SilentEngine>();
    silent_ = static_cast<SilentEngine*>(model->engine.get());
    service_->models.add_loaded(std::move(model));
    service_->set_phase(Phase::kReady);
    auto app = App::start(std::move(options), *service_);
    ASSERT_TRUE(app.ok()) << app.error().message;
    app_ = std::move(*app);
  }
  void TearDown() override {
    app_.reset();
    if (silent_ != nullptr) silent_->let_go();
    ServerTest::TearDown();
  }
  std::shared_ptr<TokenSink> sink(std::size_t index) {
    std::shared_ptr<TokenSink> found;
    EXPECT_TRUE(eventually([&] { return (found = silent_->sink(index)) != nullptr; }));
    return found;
  }
  static std::string post_bytes(const json& body, const std::string& headers = "") {
    const std::string text = body.dump();
    return "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
           headers + "Content-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text;
  }
  static FinishInfo ended(FinishReason reason) {
    FinishInfo info{reason, {}};
    info.prompt_tokens = 10;
    info.cached_tokens = 8;
    return info;
  }
  SilentEngine* silent_ = nullptr;
};

TEST_F(QueueTest, AStreamHearsItsPlaceAndItsPromptsProgress) {
  start_silent();
  RawClient client(port());
  client.send(post_bytes(chat({{"stream", true}, {"stream_options", {{"include_usage", true}}}})));
  ASSERT_TRUE(client.receive_until("text/event-stream")) << "at once";
  const auto engine_side = sink(0);
  engine_side->on_queue({3, 11.2});
  ASSERT_TRUE(client.receive_until(": queue position=3 eta=12s\n\n"));
  engine_side->on_queue({1, 0.0});
  ASSERT_TRUE(client.receive_until(": queue position=1 eta=0s\n\n"));
  engine_side->on_progress(512, 2048);
  ASSERT_TRUE(client.receive_until(": prefill done=512 total=2048\n\n"));
  engine_side->on_token({'A', std::nullopt, {}});
  engine_side->on_finish(ended(FinishReason::kLength));
  const Reply reply = client.read_reply();
  EXPECT_TRUE(reply.complete);
  const std::vector<json> events = events_of(reply.body);
  EXPECT_EQ(events.back()["usage"]["prompt_tokens_details"]["cached_tokens"], 8);
}

TEST_F(QueueTest, AWholeAnswerIsHeldByEmptyLines) {
  AppOptions options;
  options.http.keep_alive_every = 30ms;
  start_silent(std::move(options));
  RawClient client(port());
  client.send(post_bytes(chat()));
  const auto engine_side = sink(0);
  ASSERT_TRUE(client.receive_until("1\r\n\n\r\n1\r\n\n\r\n"));
  engine_side->on_token({'A', std::nullopt, {}});
  engine_side->on_finish(ended(FinishReason::kLength));
  const Reply reply = client.read_reply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_TRUE(reply.complete);
  const json whole = json::parse(reply.body);
  EXPECT_EQ(whole["choices"][0]["message"]["content"], "A");
  EXPECT_EQ(whole["usage"]["prompt_tokens_details"]["cached_tokens"], 8);
}

TEST_F(QueueTest, AFullQueueTellsWhenToComeBack) {
  start_silent();
  silent_->full = true;
  const Reply refused = RawClient(port()).post("/v1/chat/completions", chat().dump());
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.header("Retry-After"), "17");
}

TEST_F(QueueTest, ADeadlineThatPassedIsA504) {
  start_silent();
  RawClient client(port());
  client.send(post_bytes(chat({{"deadline_seconds", 0.5}, {"priority", 7}})));
  const auto engine_side = sink(0);
  const EngineRequest request = silent_->request(0);
  ASSERT_TRUE(request.deadline.has_value());
  EXPECT_LT(*request.deadline, std::chrono::steady_clock::now() + 1s);
  EXPECT_EQ(request.priority, 7);
  engine_side->on_finish(ended(FinishReason::kDeadline));
  const Reply reply = client.read_reply();
  EXPECT_EQ(reply.status, 504);
  EXPECT_EQ(json::parse(reply.body)["error"]["code"], "deadline_exceeded");
  EXPECT_EQ(post("/v1/chat/completions", chat({{"priority", -1}}), 400)["error"]["param"], "priority");
}

TEST_F(QueueTest, KeysAreAccountsThatShareNothing) {
  AppOptions options;
  options.keys.emplace();
  options.keys->add("ann's");
  options.keys->add("bob's");
  start_silent(std::move(options));
  std::vector<std::unique_ptr<RawClient>> clients;
  for (const char* key : {"ann's", "bob's", "ann's"}) {
    clients.push_back(std::make_unique<RawClient>(port()));
    clients.back()->send(post_bytes(chat(), std::string("Authorization: Bearer ") + key + "\r\n"));
    sink(clients.size() - 1);
  }
  const EngineRequest ann = silent_->request(0), bob = silent_->request(1), again = silent_->request(2);
  EXPECT_FALSE(ann.account.empty());
  EXPECT_NE(ann.account, bob.account);
  EXPECT_EQ(ann.account, again.account);
  EXPECT_EQ(ann.prefix_space, ann.account);
  EXPECT_EQ(ann.account.find("ann"), std::string::npos);
  for (std::size_t i = 0; i < 3; ++i) sink(i)->on_finish(ended(FinishReason::kLength));
  for (const auto& client : clients) client->read_reply();
}

TEST_F(QueueTest, HealthTellsOfAStalledEngine) {
  start_silent();
  EXPECT_EQ(RawClient(port()).get("/health").status, 200);
  silent_->stalled = 60;
  EXPECT_EQ(RawClient(port()).get("/health").status, 200) << "a long step";
  silent_->stalled = 1000;
  const Reply reply = RawClient(port()).get("/health");
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(json::parse(reply.body)["status"], "stalled");
  silent_->stalled = 0;
  EXPECT_EQ(RawClient(port()).get("/health").status, 200);
}

}  // namespace
}  // namespace deepwell::fakes
