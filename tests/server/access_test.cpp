// SPDX-License-Identifier: Apache-2.0
// Goal: who may ask for what: keys and their limits, the door of admins, foreign pages; and the audit log
// says who did.
#include <filesystem>
#include <fstream>

#include "server/server_fixture.h"

#include "support/temp_dir.h"

namespace deepwell::fakes {
namespace {

class AccessTest : public ServerTest {};

TEST_F(AccessTest, TheAuditLogSaysWhoAndHowMuchAndTextOnlyWhenAsked) {
  const testing_support::TempDir folder;
  const std::string path = folder / "audit.log";
  const auto audited = [&](bool with_text) {
    std::filesystem::remove(path);
    AppOptions options;
    options.keys.emplace();
    options.keys->add("sesame", "ann");
    Script script;
    script.reply = tokens_of("the-secret-answer");
    start(std::move(script), std::move(options));
    auto opened = AuditLog::open(path, nullptr);
    EXPECT_TRUE(opened.ok());
    service_->audit = std::move(*opened);
    service_->audit_text = with_text;
    RawClient client(port());
    for (const char* key : {"sesame", "wrong"}) {
      client.post("/v1/chat/completions",
                  chat({{"messages", {{{"role", "user"}, {"content", "the-secret-question"}}}}}).dump(),
                  std::string("x-api-key: ") + key + "\r\n");
    }
    client.get("/health");
    EXPECT_TRUE(eventually([&] { return log().find("/health") != std::string::npos; }));
    app_.reset();
    service_.reset();
    std::vector<json> lines;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
    EXPECT_EQ(lines.size(), 2U) << "what everybody may see is not written down";
    std::filesystem::remove(path);
    return lines;
  };
  const std::vector<json> lines = audited(false);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0]["key"], "ann");
  EXPECT_EQ(lines[0]["model"], "fake-model");
  EXPECT_EQ(lines[0]["status"], 200);
  EXPECT_EQ(lines[0]["generated_tokens"], tokens_of("the-secret-answer").size());
  EXPECT_GT(lines[0]["prompt_tokens"], 10);
  EXPECT_TRUE(lines[0]["request_id"].get<std::string>().starts_with("req_"));
  EXPECT_EQ(lines[1]["key"], nullptr);
  EXPECT_EQ(lines[1]["status"], 401);
  for (const json& line : lines) EXPECT_EQ(line.dump().find("secret"), std::string::npos);
  const std::vector<json> whole = audited(true);
  EXPECT_NE(whole[0]["question"].get<std::string>().find("the-secret-question"), std::string::npos);
  EXPECT_EQ(whole[0]["answers"], json::array({"the-secret-answer"}));
  EXPECT_FALSE(whole[1].contains("question")) << "a stranger's words are not kept";
}

TEST_F(AccessTest, KeysOpenAndOnlyKeys) {
  AppOptions options;
  options.keys.emplace();
  options.keys->add("sesame");
  Script script;
  script.reply = tokens_of("ok");
  start(std::move(script), std::move(options));
  RawClient client(port());
  const Reply none = client.post("/v1/chat/completions", chat().dump());
  EXPECT_EQ(none.status, 401);
  EXPECT_EQ(none.header("WWW-Authenticate"), "Bearer");
  EXPECT_EQ(json::parse(none.body)["error"]["code"], "invalid_api_key");
  EXPECT_EQ(client.post("/v1/chat/completions", chat().dump(), "Authorization: Bearer wrong\r\n").status,
            401);
  EXPECT_EQ(client.post("/v1/chat/completions", chat().dump(), "Authorization: Bearer sesame\r\n").status,
            200);
  EXPECT_EQ(client.post("/v1/chat/completions", chat().dump(), "x-api-key: sesame\r\n").status, 200);
  EXPECT_EQ(client.get("/v1/models").status, 401);
  EXPECT_EQ(client.get("/metrics").status, 401);
  EXPECT_EQ(client.get("/health").status, 200);
  EXPECT_EQ(client.get("/").status, 200);
}

TEST_F(AccessTest, LimitsOfAKeyAreToldAndKept) {
  AppOptions options;
  options.keys.emplace();
  options.keys->add("two-a-minute", "ann", Role::kUser, {.requests_per_minute = 2});
  options.keys->add("few-tokens", "bob", Role::kUser, {.tokens_per_minute = 100});
  options.keys->add("one-at-once", "cy", Role::kUser, {.parallel = 1});
  Script script;
  script.reply = tokens_of("ok");
  script.held = true;
  start(std::move(script), std::move(options));
  const auto bearer = [](const std::string& key) { return "Authorization: Bearer " + key + "\r\n"; };

  RawClient first(port());
  first.send_post("/v1/chat/completions", chat().dump(), bearer("one-at-once"));
  ASSERT_TRUE(eventually([&] { return engine_->stats().running == 1; }));
  const Reply second = RawClient(port()).post("/v1/chat/completions", chat().dump(), bearer("one-at-once"));
  EXPECT_EQ(second.status, 429);
  EXPECT_EQ(second.header("Retry-After"), "1");
  engine_->release();
  EXPECT_EQ(first.read_reply().status, 200);
  for (int i = 0; i < 50; ++i) {  // one after the other is always fine
    EXPECT_EQ(RawClient(port()).post("/v1/chat/completions", chat().dump(), bearer("one-at-once")).status,
              200);
  }

  RawClient ann(port());
  const Reply one = ann.post("/v1/chat/completions", chat().dump(), bearer("two-a-minute"));
  EXPECT_EQ(one.header("x-ratelimit-limit-requests"), "2");
  EXPECT_EQ(one.header("x-ratelimit-remaining-requests"), "1");
  EXPECT_TRUE(one.header("x-request-id").starts_with("req_"));
  EXPECT_EQ(ann.post("/tokenize", R"({"prompt":"a"})", bearer("two-a-minute")).status, 200);
  EXPECT_EQ(ann.get("/v1/models").status, 401);
  const Reply over = ann.post("/v1/messages", "{}", bearer("two-a-minute"));
  EXPECT_EQ(over.status, 429);
  EXPECT_EQ(json::parse(over.body)["error"]["type"], "rate_limit_error");
  EXPECT_EQ(json::parse(over.body)["type"], "error") << "in Anthropic's shape";
  const int wait = std::stoi(over.header("Retry-After"));
  EXPECT_GE(wait, 15);
  EXPECT_LE(wait, 30);
  EXPECT_EQ(over.header("x-ratelimit-remaining-requests"), "0");

  RawClient bob(port());
  const Reply small =
      bob.post("/v1/chat/completions", chat({{"max_tokens", 50}}).dump(), bearer("few-tokens"));
  EXPECT_EQ(small.status, 200);
  const std::int64_t used = json::parse(small.body)["usage"]["total_tokens"];
  EXPECT_NEAR(
      std::stod(RawClient(port())
                    .post("/v1/chat/completions", chat({{"max_tokens", 1}}).dump(), bearer("few-tokens"))
                    .header("x-ratelimit-remaining-tokens")),
      static_cast<double>(100 - used - (used - 1)), 6)
      << "what was set aside and not used came back";
  const Reply big = bob.post("/v1/chat/completions", chat({{"max_tokens", 90}}).dump(), bearer("few-tokens"));
  EXPECT_EQ(big.status, 429);
  EXPECT_EQ(json::parse(big.body)["error"]["code"], "rate_limit_exceeded");
  EXPECT_GE(std::stoi(big.header("Retry-After")), 1);
}

TEST_F(AccessTest, AdminsHaveADoorOfTheirOwn) {
  AppOptions options;
  options.admin.emplace();
  options.keys.emplace();
  options.keys->add("root", "ops", Role::kAdmin);
  options.keys->add("user", "ann", Role::kUser);
  start({}, std::move(options));
  const auto status = [&](std::uint16_t door, const std::string& path, const std::string& key) {
    RawClient client(door);
    client.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nx-api-key: " + key +
                "\r\nConnection: close\r\n\r\n");
    return client.read_reply().status;
  };
  const std::uint16_t side = app_->admin_port();
  EXPECT_EQ(status(port(), "/metrics", "root"), 404) << "it left the public door";
  EXPECT_EQ(status(side, "/metrics", "root"), 200);
  EXPECT_EQ(status(side, "/metrics", "user"), 403);
  EXPECT_EQ(status(side, "/metrics", "none"), 401);
  EXPECT_EQ(status(side, "/v1/models", "root"), 404);
  EXPECT_EQ(status(port(), "/v1/models", "root"), 200) << "an admin is a user, too";
  EXPECT_EQ(status(side, "/health", ""), 200);
  EXPECT_EQ(status(port(), "/health", ""), 200);
}

TEST_F(AccessTest, ForeignPagesNeedCors) {
  start_saying("ok");
  RawClient client(port());
  EXPECT_EQ(client.post("/v1/chat/completions", chat().dump(), "Origin: https://evil.example\r\n").status,
            403);
  EXPECT_EQ(client.post("/v1/chat/completions", chat().dump(), "Origin: http://localhost\r\n").status, 200);
  app_.reset();
  AppOptions options;
  options.http.cors_origins = {"https://good.example"};
  Script script;
  script.reply = tokens_of("ok");
  app_.reset();
  service_.reset();
  start(std::move(script), std::move(options));
  RawClient allowed(port());
  const Reply reply = allowed.post("/v1/chat/completions", chat().dump(), "Origin: https://good.example\r\n");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Access-Control-Allow-Origin"), "https://good.example");
  allowed.send(
      "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: a\r\nOrigin: https://good.example\r\n"
      "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n\r\n");
  const Reply preflight = allowed.read_reply();
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.header("Access-Control-Allow-Methods"), "POST, OPTIONS");
  EXPECT_EQ(preflight.header("Access-Control-Allow-Headers"), "authorization");
}

}  // namespace
}  // namespace deepwell::fakes
