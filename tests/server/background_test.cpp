// SPDX-License-Identifier: Apache-2.0
// Goal: a response in the background is answered whatever becomes of the server, found by its own user, and
// can be cancelled; stored responses outlive the server. Method: servers one after the other over one folder.
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "server/app/batches.h"
#include "server/app/file_store.h"
#include "server/server_fixture.h"
#include "support/temp_dir.h"

namespace deepwell::fakes {
namespace {

class BackgroundTest : public ServerTest {
 protected:
  void restart(std::string_view says, bool held = false) {
    ServerTest::TearDown();
    Script script;
    script.reply = tokens_of(says);
    script.held = held;
    service_ = std::make_unique<Service>();
    ASSERT_TRUE(service_->keep_in(folder_ / "data"));
    auto model = fake_model(std::move(script));
    engine_ = static_cast<FakeEngine*>(model->engine.get());
    service_->models.add_loaded(std::move(model));
    service_->set_phase(Phase::kReady);
    auto app = App::start({}, *service_);
    ASSERT_TRUE(app.ok());
    app_ = std::move(*app);
  }
  json get(const std::string& id, int status = 200) {
    const Reply reply = RawClient(port()).get("/v1/responses/" + id);
    EXPECT_EQ(reply.status, status) << reply.body;
    return json::parse(reply.body);
  }
  bool becomes(const std::string& id, const char* status) {
    return eventually([&] { return get(id)["status"] == status; });
  }
  std::string ask(json more = json::object()) {
    json body = {{"model", "fake-model"}, {"input", "Hi"}, {"background", true}};
    body.update(more);
    const json taken = post("/v1/responses", body);
    EXPECT_EQ(taken["status"], "queued");
    EXPECT_EQ(taken["background"], true);
    return taken["id"].get<std::string>();
  }

  testing_support::TempDir folder_;
};

TEST_F(BackgroundTest, IsFetchedLater) {
  restart("Hello", /*held=*/true);
  const std::string id = ask({{"metadata", {{"a", "b"}}}});
  EXPECT_TRUE(becomes(id, "in_progress"));
  engine_->release();
  ASSERT_TRUE(becomes(id, "completed"));
  const json done = get(id);
  EXPECT_EQ(done["id"], id);
  EXPECT_EQ(done["background"], true);
  EXPECT_EQ(done["metadata"]["a"], "b");
  EXPECT_EQ(done["output"][0]["content"][0]["text"], "Hello");
  const json next =
      post("/v1/responses", {{"model", "fake-model"}, {"input", "And?"}, {"previous_response_id", id}});
  EXPECT_EQ(next["status"], "completed");
}

TEST_F(BackgroundTest, OutlivesTheServer) {
  restart("never said", /*held=*/true);
  const std::string id = ask(), second = ask();
  EXPECT_TRUE(becomes(id, "in_progress"));
  restart("Hello");
  ASSERT_TRUE(becomes(id, "completed"));
  ASSERT_TRUE(becomes(second, "completed"));
  EXPECT_EQ(get(id)["output"][0]["content"][0]["text"], "Hello");
  restart("something else");
  EXPECT_EQ(get(id)["output"][0]["content"][0]["text"], "Hello") << "stored responses do, too";
  post("/v1/responses", {{"model", "fake-model"}, {"input", "And?"}, {"previous_response_id", id}});
  EXPECT_EQ(json::parse(RawClient(port()).get("/v1/responses/nobody").body)["error"]["code"],
            "response_not_found");
}

TEST_F(BackgroundTest, IsCancelledAndDeleted) {
  restart("Hello", /*held=*/true);
  const std::string id = ask();
  EXPECT_TRUE(becomes(id, "in_progress"));
  EXPECT_EQ(post("/v1/responses/" + id + "/cancel", json::object())["status"], "cancelled");
  EXPECT_TRUE(eventually([&] { return engine_->stats().running == 0; }));
  EXPECT_EQ(get(id)["status"], "cancelled");
  restart("Hello");
  EXPECT_EQ(get(id)["status"], "cancelled") << "and stays so";
  RawClient client(port());
  client.send("DELETE /v1/responses/" + id + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(client.read_reply().status, 200);
  get(id, 404);
  post("/v1/responses/" + id + "/cancel", json::object(), 404);
}

TEST_F(BackgroundTest, AFailureIsKept) {
  restart("Hello");
  const std::string id = ask({{"input", std::string(5000, 'x')}});
  ASSERT_TRUE(becomes(id, "failed"));
  EXPECT_EQ(get(id)["error"]["code"], "invalid_prompt");
  const std::string unknown = ask({{"model", "nobody"}});
  ASSERT_TRUE(becomes(unknown, "failed"));
}

TEST_F(BackgroundTest, RefusesWhatItCannotKeep) {
  restart("Hello");
  const json body = {{"model", "fake-model"}, {"input", "Hi"}, {"background", true}};
  json streamed = body, unstored = body;
  streamed["stream"] = true;
  unstored["store"] = false;
  EXPECT_EQ(post("/v1/responses", streamed, 400)["error"]["param"], "background");
  EXPECT_EQ(post("/v1/responses", unstored, 400)["error"]["param"], "store");
  ServerTest::TearDown();
  start_saying("no folder");
  EXPECT_EQ(post("/v1/responses", body, 501)["error"]["code"], "no_data_dir");
}

TEST_F(BackgroundTest, WhatIsDamagedIsSetAsideAndTold) {
  restart("Hello");
  const std::string line =
      R"({"custom_id":"1","method":"POST","url":"/v1/completions","body":{"model":"fake-model","prompt":"a"}})";
  const auto file = service_->files->add("", "in.jsonl", "batch", line + "\n");
  ASSERT_TRUE(file.ok());
  const auto batch = service_->batches->add("", (*file)["id"], "/v1/completions", json::object());
  ASSERT_TRUE(batch.ok());
  const std::string id = (*batch)["id"];
  ASSERT_TRUE(eventually([&] { return (*service_->batches->find("", id))["status"] == "completed"; }));
  ServerTest::TearDown();
  const std::string path = folder_ / "data/batches/" + id + ".json";
  const auto whole = std::filesystem::file_size(path);
  std::filesystem::resize_file(path, whole / 2);
  const std::string job = folder_ / "data/background/resp_x.json";
  std::ofstream(job) << "{\"user\":";
  std::string told;
  service_ = std::make_unique<Service>();
  ASSERT_TRUE(service_->keep_in(folder_ / "data", [&](const std::string& said) { told += said + "\n"; }));
  EXPECT_FALSE(service_->batches->find("", id).ok());
  EXPECT_NE(told.find(path + ".damaged"), std::string::npos) << told;
  EXPECT_NE(told.find(job + ".damaged"), std::string::npos) << told;
  EXPECT_EQ(std::filesystem::file_size(path + ".damaged"), whole / 2);
  service_.reset();
  told.clear();
  service_ = std::make_unique<Service>();
  ASSERT_TRUE(service_->keep_in(folder_ / "data", [&](const std::string& said) { told += said; }));
  EXPECT_EQ(told, "") << "once";
  service_.reset();
}

// No file may grow, which is what a full disk does to a start.
TEST_F(BackgroundTest, AStartOnAFullDiskSaysWhatToDo) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit full{0, before.rlim_max};
  service_ = std::make_unique<Service>();
  setrlimit(RLIMIT_FSIZE, &full);
  const Status kept = service_->keep_in(folder_ / "data");
  setrlimit(RLIMIT_FSIZE, &before);
  service_.reset();
  ASSERT_FALSE(kept);
  EXPECT_NE(kept.error().message.find("make room on its disk, or give --data-dir"), std::string::npos)
      << kept.error().message;
  EXPECT_EQ(kept.error().message.find("move it away"), std::string::npos) << kept.error().message;
}

TEST_F(BackgroundTest, ABatchWaitsForAFullDisk) {
  restart("Hello");
  const std::string line =
      R"({"custom_id":"1","method":"POST","url":"/v1/completions","body":{"model":"fake-model","prompt":"a"}})";
  const auto file = service_->files->add("", "in.jsonl", "batch", line + "\n");
  ASSERT_TRUE(file.ok());
  // A folder where the results should go takes no line, as a full disk would not.
  service_->set_phase(Phase::kLoading);  // until the folder is there, nothing starts
  const auto batch =
      service_->batches->add("", (*file)["id"].get<std::string>(), "/v1/completions", json::object());
  ASSERT_TRUE(batch.ok());
  const auto id = (*batch)["id"].get<std::string>();
  const std::string results = folder_ / "data/batches/" + id + ".jsonl";
  std::filesystem::create_directory(results);
  service_->set_phase(Phase::kReady);
  ASSERT_TRUE(eventually([&] { return !(*service_->batches->find("", id))["errors"].is_null(); }));
  EXPECT_EQ((*service_->batches->find("", id))["errors"]["data"][0]["code"], "disk_full");
  EXPECT_EQ((*service_->batches->find("", id))["status"], "in_progress");
  std::filesystem::remove(results);
  EXPECT_TRUE(eventually([&] { return (*service_->batches->find("", id))["status"] == "completed"; }));
  const json done = *service_->batches->find("", id);
  EXPECT_EQ(done["request_counts"]["completed"], 1);
  EXPECT_EQ(done["errors"], nullptr);
}

}  // namespace
}  // namespace deepwell::fakes
