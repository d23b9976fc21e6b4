// SPDX-License-Identifier: Apache-2.0
// Goal: the page comes from the binary alone, compressed as the client likes, cached as it may be, and locked
// in by its policy; its chats are kept over HTTP, each key's for itself. Method: raw requests to a real
// server.
#include <unistd.h>

#include <filesystem>
#include <regex>

#include "server/server_fixture.h"
#include "server/web/page.h"
#include "support/temp_dir.h"

namespace deepwell::fakes {
namespace {

class PageTest : public ServerTest {
 protected:
  void TearDown() override {
    ServerTest::TearDown();  // before its folder
  }
  void start_keeping(AppOptions options = {}) {
    start(Script{}, std::move(options));
    ASSERT_TRUE(service_->keep_in(folder_.path()).ok());
  }
  Reply ask(const std::string& method, const std::string& path, const std::string& headers = "",
            const std::string& body = "") {
    RawClient client(port());
    client.send(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers +
                (body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n") + "\r\n" +
                body);
    return client.read_reply(method == "HEAD");
  }
  testing_support::TempDir folder_;
};

TEST_F(PageTest, LoadsNothingButItself) {
  start_saying("");
  const Reply page = ask("GET", "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.header("Content-Type"), "text/html; charset=utf-8");
  const std::string policy = page.header("Content-Security-Policy");
  EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(policy.find("http"), std::string::npos);
  EXPECT_NE(page.body.find("</html>"), std::string::npos);
  // Whatever it names is here.
  const std::regex name("(?:src|href)=\"([^\"]+)\"");
  int found = 0;
  for (std::sregex_iterator at(page.body.begin(), page.body.end(), name), end; at != end; ++at, ++found) {
    SCOPED_TRACE((*at)[1].str());
    const Reply asset = ask("GET", (*at)[1].str());
    EXPECT_EQ(asset.status, 200);
    EXPECT_NE(asset.header("Cache-Control").find("immutable"), std::string::npos);
    EXPECT_EQ(asset.header("X-Content-Type-Options"), "nosniff");
  }
  EXPECT_GE(found, 3);
}

TEST_F(PageTest, ComesInTheSmallestFormThatTheClientTakes) {
  start_saying("");
  const PageFile* script = nullptr;
  for (const PageFile& file : page_files()) {
    EXPECT_LT(file.gzip.size(), file.plain.size());
    if (file.path.ends_with(".js")) script = &file;
  }
  ASSERT_NE(script, nullptr);
  const std::string path(script->path);
  const auto coding = [&](const std::string& accepted) {
    const Reply reply = ask("GET", path, accepted.empty() ? "" : "Accept-Encoding: " + accepted + "\r\n");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.header("Vary"), "Accept-Encoding");
    const std::string got = reply.header("Content-Encoding");
    EXPECT_EQ(reply.body, got == "br" ? script->brotli : got == "gzip" ? script->gzip : script->plain);
    return got;
  };
  EXPECT_EQ(coding(""), "");
  EXPECT_EQ(coding("gzip, deflate, br"), "br");
  EXPECT_EQ(coding("gzip;q=0.5"), "gzip");
  EXPECT_EQ(coding("deflate, GZIP"), "gzip");
  EXPECT_EQ(coding("br;q=0, gzip;q=0.0"), "");
  EXPECT_EQ(coding("brotli,x-gzip"), "");
  const std::string etag = ask("GET", "/").header("ETag");
  const Reply same = ask("GET", "/", "If-None-Match: " + etag + "\r\n");
  EXPECT_EQ(same.status, 304);
  EXPECT_TRUE(same.body.empty());
  EXPECT_EQ(ask("HEAD", "/").status, 200);
  EXPECT_EQ(ask("GET", "/assets/none.js").status, 404);
  EXPECT_EQ(ask("GET", "/assets/..%2f..%2fetc%2fpasswd").status, 404);
}

TEST_F(PageTest, KeepsChats) {
  start_keeping();
  EXPECT_EQ(json::parse(ask("GET", "/deepwell/chats").body)["data"].size(), 0U);
  const json change = {{"title", "Rivers"},
                       {"updated", 9},
                       {"state", {{"leaf", "b"}}},
                       {"messages",
                        {{{"id", "a"}, {"role", "user"}, {"content", "Name 三 rivers"}},
                         {{"id", "b"}, {"parent", "a"}, {"content", "Rhine"}}}}};
  EXPECT_EQ(ask("PATCH", "/deepwell/chats/one", "", change.dump()).status, 200);
  const json chat = json::parse(ask("GET", "/deepwell/chats/one").body);
  EXPECT_EQ(chat["title"], "Rivers");
  EXPECT_EQ(chat["state"]["leaf"], "b");
  EXPECT_EQ(chat["messages"][1]["parent"], "a");
  EXPECT_EQ(json::parse(ask("GET", "/deepwell/chats?q=%E4%B8%89%20riv").body)["data"].size(), 1U);
  EXPECT_EQ(json::parse(ask("GET", "/deepwell/chats?q=Rhone").body)["data"].size(), 0U);
  EXPECT_EQ(ask("DELETE", "/deepwell/chats/one").status, 200);
  EXPECT_EQ(ask("DELETE", "/deepwell/chats/one").status, 404);
  EXPECT_EQ(ask("GET", "/deepwell/chats/one").status, 404);
}

TEST_F(PageTest, RefusesWhatIsNoChat) {
  start_keeping();
  const auto refused = [&](const std::string& body, const std::string& path = "/deepwell/chats/one") {
    SCOPED_TRACE(body.substr(0, 60));
    const Reply reply = ask("PATCH", path, "", body);
    EXPECT_EQ(reply.status, 400);
    return json::parse(reply.body)["error"]["param"];
  };
  EXPECT_EQ(refused(R"({"titel": "x"})"), "titel");
  EXPECT_EQ(refused(R"({"title": 3})"), "title");
  EXPECT_EQ(refused(json{{"title", std::string(2000, 'x')}}.dump()), "title");
  EXPECT_EQ(refused(json{{"state", {{"x", std::string(70'000, 'x')}}}}.dump()), "state");
  EXPECT_EQ(refused(R"({"messages": [{"id": "a"}, {"id": "../b"}]})"), "messages[1].id");
  EXPECT_EQ(refused(R"({"messages": [{"content": "a"}]})"), "messages[0].id");
  EXPECT_EQ(refused(R"({"messages": ["a"]})"), "messages[0]");
  EXPECT_EQ(refused(json{{"messages", {{{"id", "a"}, {"content", std::string(9 << 20, 'x')}}}}}.dump()),
            "messages[0]");
  EXPECT_EQ(refused("{}", "/deepwell/chats/a%20b"), "id");
  EXPECT_EQ(json::parse(ask("GET", "/deepwell/chats").body)["data"].size(), 0U);
}

TEST_F(PageTest, EachKeyHasItsOwnChatsAndNoKeyHasNone) {
  AppOptions options;
  options.keys.emplace().add("ann");
  options.keys->add("bob");
  start_keeping(std::move(options));
  EXPECT_EQ(ask("GET", "/").status, 200);  // the page itself asks for the key
  EXPECT_EQ(ask("GET", "/deepwell/chats").status, 401);
  EXPECT_EQ(
      ask("PATCH", "/deepwell/chats/c", "Authorization: Bearer ann\r\n", R"({"title": "Ann's"})").status,
      200);
  EXPECT_EQ(ask("GET", "/deepwell/chats/c", "Authorization: Bearer ann\r\n").status, 200);
  EXPECT_EQ(ask("GET", "/deepwell/chats/c", "Authorization: Bearer bob\r\n").status, 404);
  EXPECT_EQ(ask("DELETE", "/deepwell/chats/c", "Authorization: Bearer bob\r\n").status, 404);
  EXPECT_EQ(json::parse(ask("GET", "/deepwell/chats", "Authorization: Bearer bob\r\n").body)["data"].size(),
            0U);
}

TEST_F(PageTest, WithoutAFolderChatsAreRefused) {
  start_saying("");
  for (const char* method : {"GET", "PATCH", "DELETE"}) {
    const Reply reply = ask(method, "/deepwell/chats/one", "", "{}");
    EXPECT_EQ(reply.status, 501);
    EXPECT_EQ(json::parse(reply.body)["error"]["code"], "no_data_dir");
  }
}

}  // namespace
}  // namespace deepwell::fakes
