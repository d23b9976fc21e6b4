// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include "net/http/raw_client.h"
#include "server/fakes.h"
#include "support/eventually.h"

namespace deepwell::fakes {

using testing_support::eventually;

/// The whole server on a free port over a fake engine.
class ServerTest : public testing::Test {
 protected:
  using json = nlohmann::json;
  using RawClient = testing_http::RawClient;
  using Reply = testing_http::Reply;

  void start(Script script, AppOptions options = {}, Phase phase = Phase::kReady) {
    service_ = std::make_unique<Service>();
    auto model = fake_model(std::move(script), "fake-model", chat_source_);
    engine_ = static_cast<FakeEngine*>(model->engine.get());
    service_->models.add_loaded(std::move(model), {"other-name", "org/name"});
    service_->set_phase(phase);
    options.log = [this](const std::string& line) {
      const std::lock_guard lock(log_mutex_);
      log_ += line + "\n";
    };
    auto app = App::start(std::move(options), *service_);
    ASSERT_TRUE(app.ok()) << app.error().message;
    app_ = std::move(*app);
  }
  void start_saying(std::string_view text) {
    Script script;
    script.reply = tokens_of(text);
    start(std::move(script));
  }
  void TearDown() override {
    app_.reset();
    service_.reset();
  }

  std::uint16_t port() const { return app_->port(); }
  std::string log() {
    const std::lock_guard lock(log_mutex_);
    return log_;
  }
  static json chat(json more = json::object()) {
    json body = {{"model", "fake-model"}, {"messages", {{{"role", "user"}, {"content", "Hi"}}}}};
    body.update(more);
    return body;
  }
  json post(const std::string& path, const json& body, int status = 200) {
    const Reply reply = RawClient(port()).post(path, body.dump());
    EXPECT_EQ(reply.status, status) << reply.body;
    return json::parse(reply.body, nullptr, false);
  }
  /// The data of each event of a stream, [DONE] checked and taken off.
  std::vector<json> stream(const std::string& path, json body) {
    body["stream"] = true;
    const Reply reply = RawClient(port()).post(path, body.dump());
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_TRUE(reply.complete);
    return events_of(reply.body);
  }
  static std::vector<json> events_of(const std::string& text) {
    std::vector<json> events;
    bool done = false;
    for (std::size_t start = 0; start < text.size();) {
      const std::size_t end = text.find("\n\n", start);
      EXPECT_NE(end, std::string::npos);
      const std::string event = text.substr(start, end - start);
      start = end + 2;
      if (event.starts_with(":")) continue;
      EXPECT_TRUE(event.starts_with("data: ")) << event;
      EXPECT_FALSE(done) << "after [DONE]: " << event;
      done = event == "data: [DONE]";
      if (!done) events.push_back(json::parse(event.substr(6)));
    }
    const bool failed = !events.empty() && events.back().contains("error");
    EXPECT_EQ(done, !failed);
    return events;
  }

  std::unique_ptr<Service> service_;
  FakeEngine* engine_ = nullptr;
  std::string chat_source_;  ///< what the model's template is said to be: how replies are read
  std::unique_ptr<App> app_;

 private:
  std::mutex log_mutex_;
  std::string log_;
};

}  // namespace deepwell::fakes
