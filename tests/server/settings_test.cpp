// SPDX-License-Identifier: Apache-2.0
// Goal: flag > environment > file > default, setting by setting; wrong values name their source.
#include "server/serve/settings.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "support/temp_dir.h"

namespace deepwell {
namespace {

class SettingsTest : public testing::Test {
 protected:
  void write(const std::string& text) { std::ofstream(path_) << text; }
  Result<ServeSettings> resolve(GivenSettings flags = {},
                                std::map<std::string, std::string> environment = {}) {
    return resolve_serve_settings(
        flags,
        [&](const std::string& name) {
          const auto found = environment.find(name);
          return found == environment.end() ? std::nullopt : std::optional(found->second);
        },
        std::ifstream(path_) ? path_ : "");
  }
  testing_support::TempDir folder_;
  std::string path_ = folder_ / "deepwell.toml";
};

TEST_F(SettingsTest, Defaults) {
  const auto settings = resolve();
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->host, "127.0.0.1");
  EXPECT_EQ(settings->port, 8321);
  EXPECT_TRUE(settings->models.empty());
  EXPECT_EQ(settings->drain_seconds, 30);
}

TEST_F(SettingsTest, ExpertsMayStayOnDisk) {
  EXPECT_EQ(resolve()->engine.expert_cache_bytes, -1) << "as memory allows";
  EXPECT_EQ(resolve({{"expert-cache", {"2G"}}})->engine.expert_cache_bytes, 2'000'000'000);
  EXPECT_EQ(resolve({}, {{"DEEPWELL_EXPERT_CACHE", "0"}})->engine.expert_cache_bytes, 0);
  EXPECT_FALSE(resolve({{"expert-cache", {"some"}}}).ok());
}

TEST_F(SettingsTest, EachSourceWinsOverTheNext) {
  write(
      "models = ['a.gguf', 'b']\nport = 1000\nparallel = 3\ndrain_seconds = 2.5\nlog_json = true\ncontext = "
      "100\n");
  const auto settings = resolve(
      {{"port", {"3000"}}},
      {{"DEEPWELL_PORT", "2000"}, {"DEEPWELL_PARALLEL", "5"}, {"DEEPWELL_CORS", "https://a,https://b"}});
  ASSERT_TRUE(settings.ok()) << settings.error().message;
  EXPECT_EQ(settings->port, 3000);
  EXPECT_EQ(settings->engine.parallel, 5);
  EXPECT_EQ(settings->engine.context, 100);
  EXPECT_EQ(settings->models, (std::vector<std::string>{"a.gguf", "b"}));
  EXPECT_EQ(settings->drain_seconds, 2.5);
  EXPECT_TRUE(settings->log_json);
  EXPECT_EQ(settings->cors_origins, (std::vector<std::string>{"https://a", "https://b"}));
}

TEST_F(SettingsTest, ErrorsNameTheirSource) {
  const auto message = [](const Result<ServeSettings>& result) {
    return result.ok() ? "" : result.error().message;
  };
  EXPECT_TRUE(message(resolve({{"port", {"x"}}})).starts_with("--port: 'x'"));
  EXPECT_TRUE(message(resolve({}, {{"DEEPWELL_PORT", "70000"}})).starts_with("DEEPWELL_PORT: "));
  EXPECT_TRUE(message(resolve({{"cache-type", {"q2"}}})).starts_with("--cache-type: "));
  EXPECT_TRUE(message(resolve({}, {{"DEEPWELL_LOG_JSON", "maybe"}})).starts_with("DEEPWELL_LOG_JSON: "));
  write("port = 'nine'\n");
  EXPECT_TRUE(message(resolve()).starts_with(path_ + ": port: "));
  write("prot = 9\n");
  EXPECT_NE(message(resolve()).find("'prot' is not a setting"), std::string::npos);
  write("port = [1, 2]\n");
  EXPECT_NE(message(resolve()).find("one value"), std::string::npos);
  write("ok = 1\nport = = 9\n");
  EXPECT_NE(message(resolve()).find("line 2"), std::string::npos);
  write("[table]\nport = 1\n");
  EXPECT_NE(message(resolve()).find("'table'"), std::string::npos);
  EXPECT_FALSE(resolve_serve_settings(
                   {}, [](const std::string&) { return std::nullopt; }, "/nonexistent.toml")
                   .ok());
}

}  // namespace
}  // namespace deepwell
