// SPDX-License-Identifier: Apache-2.0
// Goal: the APIs beside OpenAI's chat answer in their own shapes, whole and streamed, and refuse in their own
// words; what must look like something does. Method: real sockets over a scripted engine that keeps to a
// request's grammar.
#include <filesystem>
#include <fstream>

#include "server/app/batches.h"
#include "server/server_fixture.h"
#include "support/temp_dir.h"

namespace deepwell::fakes {
namespace {

class DialectsTest : public ServerTest {
 protected:
  static std::vector<json> named_events(const std::string& text) {
    std::vector<json> events;
    for (std::size_t start = 0; start < text.size();) {
      const std::size_t end = text.find("\n\n", start);
      const std::string event = text.substr(start, end - start);
      start = end + 2;
      if (event.starts_with(":")) continue;
      const std::size_t line = event.find("\ndata: ");
      EXPECT_TRUE(event.starts_with("event: ") && line != std::string::npos) << event;
      events.push_back(json::parse(event.substr(line + 7)));
      EXPECT_EQ(events.back()["type"], event.substr(7, line - 7));
    }
    return events;
  }
  json anthropic(json more = json::object()) {
    json body = {
        {"model", "fake-model"}, {"max_tokens", 1000}, {"messages", {{{"role", "user"}, {"content", "Hi"}}}}};
    body.update(more);
    return body;
  }
};

TEST_F(DialectsTest, MessagesStreamBlockByBlock) {
  start_saying("<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>");
  const json body =
      anthropic({{"stream", true},
                 {"tools", {{{"name", "f"}, {"input_schema", {{"type", "object"}, {"maxProperties", 0}}}}}},
                 {"tool_choice", {{"type", "tool"}, {"name", "f"}, {"disable_parallel_tool_use", true}}}});
  const Reply reply = RawClient(port()).post("/v1/messages?beta=true", body.dump());
  ASSERT_EQ(reply.status, 200) << reply.body;
  std::string kinds, arguments;
  for (const json& event : named_events(reply.body)) {
    kinds += event["type"].get<std::string>() + " ";
    if (event["type"] == "content_block_delta") arguments += event["delta"].value("partial_json", "");
    if (event["type"] == "message_delta") {
      EXPECT_EQ(event["delta"]["stop_reason"], "tool_use");
    }
  }
  EXPECT_TRUE(kinds.starts_with("message_start content_block_start content_block_delta ")) << kinds;
  EXPECT_TRUE(kinds.ends_with("content_block_stop message_delta message_stop ")) << kinds;
  EXPECT_EQ(arguments, "{}");
}

TEST_F(DialectsTest, MessagesRefuseInAnthropicsWords) {
  start_saying("x");
  const json refused = post("/v1/messages", anthropic({{"mcp_servers", {1}}}), 400);
  EXPECT_EQ(refused["type"], "error");
  EXPECT_EQ(refused["error"]["type"], "invalid_request_error");
  EXPECT_NE(refused["error"]["message"].get<std::string>().find("mcp_servers"), std::string::npos);
  EXPECT_EQ(post("/v1/messages", anthropic({{"model", "none"}}), 404)["error"]["type"], "not_found_error");
  EXPECT_EQ(post("/v1/messages", {{"messages", {1}}, {"max_tokens", 1}}, 400)["error"]["type"],
            "invalid_request_error");
}

TEST_F(DialectsTest, OllamaAnswersALineEach) {
  start_saying("Hello world");
  const Reply reply = RawClient(port()).post(
      "/api/chat",
      json({{"model", "fake-model"}, {"messages", {{{"role", "user"}, {"content", "Hi"}}}}}).dump());
  ASSERT_EQ(reply.status, 200) << reply.body;
  std::string text;
  json last;
  for (std::size_t start = 0; start < reply.body.size();) {
    const std::size_t end = reply.body.find('\n', start);
    last = json::parse(reply.body.substr(start, end - start));
    text += last["message"]["content"].get<std::string>();
    start = end + 1;
  }
  EXPECT_EQ(text, "Hello world");
  EXPECT_EQ(last["done"], true);
  EXPECT_EQ(last["done_reason"], "stop");
  EXPECT_EQ(post("/api/chat", {{"model", "none"}, {"messages", {{{"role", "user"}, {"content", "Hi"}}}}}, 404)
                .size(),
            1U);
  EXPECT_EQ(post("/api/generate", {{"model", "fake-model"}})["done_reason"], "load");
  EXPECT_TRUE(post("/api/pull", {{"model", "x"}}, 403).contains("error"));
}

TEST_F(DialectsTest, OllamasUnknownPathsAreRefusedInItsWords) {
  start_saying("x");
  EXPECT_TRUE(post("/api/nothing", json::object(), 404)["error"].is_string());
  EXPECT_TRUE(json::parse(RawClient(port()).get("/api/chat").body)["error"].is_string()) << "a 405";
  EXPECT_TRUE(post("/v1/nothing", json::object(), 404)["error"].is_object());
}

TEST_F(DialectsTest, UsageHasDeepSeeksNames) {
  start_saying("x");
  const json usage = post("/v1/chat/completions", chat())["usage"];
  EXPECT_EQ(usage["prompt_cache_hit_tokens"], usage["prompt_tokens_details"]["cached_tokens"]);
  EXPECT_EQ(usage["prompt_cache_miss_tokens"].get<int>() + usage["prompt_cache_hit_tokens"].get<int>(),
            usage["prompt_tokens"]);
}

TEST_F(DialectsTest, AResponseTellsWhatItAnswered) {
  start_saying("Hello");
  const json first = post("/v1/responses", {{"model", "fake-model"}, {"input", "Hi"}});
  const json second = post("/v1/responses", {{"model", "fake-model"},
                                             {"instructions", "Be brief."},
                                             {"input", "And?"},
                                             {"previous_response_id", first["id"]}});
  const std::string path = "/v1/responses/" + second["id"].get<std::string>() + "/input_items";
  const auto get = [&](const std::string& query) {
    return json::parse(RawClient(port()).get(path + query).body);
  };
  const json all = get("?order=asc");
  ASSERT_EQ(all["data"].size(), 3U) << all;
  EXPECT_EQ(all["data"][0]["content"][0], json({{"type", "input_text"}, {"text", "Hi"}}));
  EXPECT_EQ(all["data"][1]["role"], "assistant");
  EXPECT_EQ(all["data"][1]["content"][0]["text"], "Hello");
  EXPECT_EQ(all["data"][2]["content"][0]["text"], "And?");
  EXPECT_EQ(all["has_more"], false);
  const json page = get("?limit=1");  // the latest first
  EXPECT_EQ(page["data"], json::array({all["data"][2]}));
  EXPECT_EQ(page["has_more"], true);
  EXPECT_EQ(get("?limit=1&after=" + page["last_id"].get<std::string>())["data"][0], all["data"][1]);
  EXPECT_EQ(get("?limit=1000")["error"]["param"], "limit");
  EXPECT_EQ(get("?order=up")["error"]["param"], "order");
  EXPECT_EQ(get("?after=nobody")["error"]["param"], "after");
  EXPECT_EQ(RawClient(port()).get("/v1/responses/nobody/input_items").status, 404);
}

TEST_F(DialectsTest, WhatCannotBeHonouredIsNamed) {
  start_saying("x");
  const auto format = [&](const json& schema) {
    return chat({{"response_format",
                  {{"type", "json_schema"}, {"json_schema", {{"name", "n"}, {"schema", schema}}}}}});
  };
  const json refused = post("/v1/chat/completions", format({{"not", json::object()}}), 400);
  EXPECT_EQ(refused["error"]["param"], "response_format.json_schema.schema");
  EXPECT_NE(refused["error"]["message"].get<std::string>().find("'not'"), std::string::npos);
  for (const json& bad : std::initializer_list<json>{{{"guided_regex", "("}},
                                                     {{"guided_grammar", "start: nobody"}},
                                                     {{"guided_choice", json::array()}},
                                                     {{"guided_json", {{"type", "x"}}}},
                                                     {{"grammar", "root ::= \"a\""}},
                                                     {{"guided_regex", "a"}, {"guided_choice", {"b"}}},
                                                     {{"response_format", {{"type", "xml"}}}}})
    EXPECT_EQ(post("/v1/chat/completions", chat(bad), 400)["error"]["type"], "invalid_request_error") << bad;
}

TEST_F(DialectsTest, AnAnswerKeepsToItsFormat) {
  start_saying("no way");
  const json made = post("/v1/chat/completions", chat({{"guided_regex", "[0-9]{3}!"}, {"n", 2}}));
  for (const json& choice : made["choices"]) {
    EXPECT_EQ(choice["message"]["content"].get<std::string>().size(), 4U);
    EXPECT_EQ(choice["finish_reason"], "stop");
  }
  const json raw = post("/v1/completions", {{"model", "fake-model"},
                                            {"prompt", {"a", "b"}},
                                            {"max_tokens", 50},
                                            {"guided_choice", {"yes", "no"}}});
  for (const json& choice : raw["choices"]) EXPECT_EQ(choice["text"], "no");
  EXPECT_EQ(raw["choices"].size(), 2U);
}

TEST_F(DialectsTest, ThinkingEndsWhenItsTokensAreUsedUp) {
  start_saying("<think>on and on and on and on</think>");
  const json made = post("/v1/chat/completions", chat({{"thinking_budget", 5}, {"max_tokens", 40}}));
  const std::string text = made["choices"][0]["message"].dump();
  EXPECT_NE(text.find("<think>on an</think>d on"), std::string::npos) << text;
}

TEST_F(DialectsTest, StoredResponsesAreTheirOwnersAlone) {
  Script script;
  script.reply = tokens_of("Hello");
  AppOptions options;
  options.keys.emplace();
  options.keys->add("mine");
  options.keys->add("yours");
  start(std::move(script), std::move(options));
  const auto ask = [&](const std::string& method, const std::string& path, const std::string& key,
                       const std::string& body) {
    RawClient client(port());
    client.send(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + key +
                "\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                body);
    return client.read_reply();
  };
  const Reply made = ask("POST", "/v1/responses", "mine", R"({"model":"fake-model","input":"Hi"})");
  ASSERT_EQ(made.status, 200) << made.body;
  const std::string id = json::parse(made.body)["id"];
  EXPECT_EQ(ask("GET", "/v1/responses/" + id, "yours", "").status, 404);
  EXPECT_EQ(ask("DELETE", "/v1/responses/" + id, "yours", "").status, 404);
  EXPECT_EQ(ask("POST", "/v1/responses", "yours", R"({"input":"And?","previous_response_id":")" + id + "\"}")
                .status,
            404);
  EXPECT_EQ(ask("GET", "/v1/responses/" + id, "mine", "").status, 200);
}

TEST_F(DialectsTest, ABatchSurvivesARestart) {
  const testing_support::TempDir temp;
  const std::string folder = temp / "data";
  Script held;
  held.held = true;
  held.reply = tokens_of("late");
  start(std::move(held));
  ASSERT_TRUE(service_->keep_in(folder).ok());
  const auto file = service_->files->add(
      "", "work.jsonl", "batch",
      R"({"custom_id":"a","url":"/v1/completions","body":{"prompt":"x","max_tokens":9}})");
  ASSERT_TRUE(file.ok());
  const auto batch = service_->batches->add("", (*file)["id"], "/v1/completions", nullptr);
  ASSERT_TRUE(batch.ok()) << batch.error().message;
  const std::string id = (*batch)["id"];
  EXPECT_TRUE(eventually([&] { return engine_->stats().running == 1; })) << "its line is under way";
  EXPECT_FALSE(service_->batches->find("somebody else", id).ok());
  app_.reset();
  service_.reset();  // ends although the engine answers nothing
  start_saying("Hello");
  ASSERT_TRUE(service_->keep_in(folder).ok());
  EXPECT_TRUE(eventually([&] { return (*service_->batches->find("", id))["status"] == "completed"; }));
  const json done = *service_->batches->find("", id);
  EXPECT_EQ(done["request_counts"], json({{"total", 1}, {"completed", 1}, {"failed", 0}}));
  const auto output = service_->files->read("", done["output_file_id"]);
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(json::parse(*output)["response"]["body"]["choices"][0]["text"], "Hello");
  app_.reset();
  service_.reset();  // before its folder
}

TEST_F(DialectsTest, ABatchMayEmbedAndHasOneWindow) {
  const testing_support::TempDir temp;
  start_saying("Hello");
  ASSERT_TRUE(service_->keep_in(temp / "data").ok());
  const auto file = service_->files->add(
      "", "work.jsonl", "batch",
      R"({"custom_id":"a","url":"/v1/embeddings","body":{"model":"fake-model","input":["x","y"]}})");
  ASSERT_TRUE(file.ok());
  json body = {{"input_file_id", (*file)["id"]}, {"endpoint", "/v1/embeddings"}, {"completion_window", "1h"}};
  EXPECT_EQ(post("/v1/batches", body, 400)["error"]["param"], "completion_window");
  body["completion_window"] = "24h";
  const std::string id = post("/v1/batches", body)["id"];
  EXPECT_TRUE(eventually([&] { return (*service_->batches->find("", id))["status"] == "completed"; }));
  const json done = *service_->batches->find("", id);
  ASSERT_EQ(done["request_counts"]["completed"], 1) << done;
  const auto output = service_->files->read("", done["output_file_id"]);
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(json::parse(*output)["response"]["body"]["data"].size(), 2U);
  app_.reset();
  service_.reset();  // before its folder
}

TEST_F(DialectsTest, AChangedKeyFileIsTakenOver) {
  const testing_support::TempDir folder;
  const std::string path = folder / "keys.txt";
  std::ofstream(path) << "first\n";
  AppOptions options;
  options.keys = *ApiKeys::load(path);
  options.keys_path = path;
  start({}, std::move(options));
  const auto status = [&](const std::string& key) {
    RawClient client(port());
    client.send("GET /v1/models HTTP/1.1\r\nHost: x\r\nx-api-key: " + key + "\r\nConnection: close\r\n\r\n");
    return client.read_reply().status;
  };
  EXPECT_EQ(status("first"), 200);
  EXPECT_EQ(status("second"), 401);
  std::ofstream(path) << "second\n";
  std::filesystem::last_write_time(path,
                                   std::filesystem::file_time_type::clock::now() + std::chrono::seconds(5));
  EXPECT_TRUE(eventually([&] { return status("second") == 200; }));
  EXPECT_EQ(status("first"), 401);
  std::ofstream(path) << "# nothing\n";
  std::filesystem::last_write_time(path,
                                   std::filesystem::file_time_type::clock::now() + std::chrono::seconds(9));
  EXPECT_TRUE(eventually([&] {
    EXPECT_EQ(status("second"), 200) << "a broken file locks nobody out";
    return log().find("stay as they were") != std::string::npos;
  }));
}

TEST_F(DialectsTest, AStrangersNameForThisMachineIsRefused) {
  Script script;
  script.reply = tokens_of("Hello");
  AppOptions options;
  options.host_names = {"deepwell.lan"};
  start(std::move(script), std::move(options));
  const auto status = [&](const std::string& host) {
    RawClient client(port());
    client.send("GET /v1/models HTTP/1.1\r\nHost: " + host + "\r\nOrigin: http://" + host +
                "\r\nConnection: close\r\n\r\n");
    return client.read_reply().status;
  };
  for (const char* host : {"localhost", "localhost:8321", "127.0.0.1:1", "[::1]:8321", "DeepWell.lan:80"})
    EXPECT_EQ(status(host), 200) << host;
  for (const char* host : {"evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8321"})
    EXPECT_EQ(status(host), 403) << host;
}

}  // namespace
}  // namespace deepwell::fakes
