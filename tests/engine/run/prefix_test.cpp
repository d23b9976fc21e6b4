// SPDX-License-Identifier: Apache-2.0
// Goal: what is found in the prefix cache gives the same bits as computing it, whatever was evicted
// meanwhile, and is found only by those of its space. Method: random prompts that share beginnings, against
// an engine without a prefix cache.
#include <fstream>

#include "support/eventually.h"
#include "tiny_engine.h"

namespace deepwell {
namespace {

using namespace testing_support;
using Tokens = std::vector<std::int32_t>;

struct Answer {
  Tokens tokens;
  std::vector<float> logprobs;
  FinishInfo info{};
};

Answer answer(Engine& engine, EngineRequest request) {
  request.sampling.logprobs = 0;
  const auto sink = std::make_shared<NotingSink>();
  const auto id = engine.submit(std::move(request), sink);
  EXPECT_TRUE(id.ok());
  Answer answer;
  answer.info = sink->wait();
  answer.tokens = sink->tokens();
  for (const TokenOutput& output : sink->outputs()) answer.logprobs.push_back(*output.logprob);
  return answer;
}

std::unique_ptr<Engine> cold_engine() {
  EngineOptions options;
  options.prefix_cache = false;
  return tiny_engine(options);
}

TEST(Prefix, ASecondAskingFindsAllButTheLastPage) {
  const auto engine = tiny_engine(), cold = cold_engine();
  for (const auto& [length, found] : std::vector<std::pair<std::size_t, int>>{
           {63, 0}, {64, 0}, {65, 64}, {128, 64}, {129, 128}, {300, 256}}) {
    const EngineRequest request = request_of(some_prompt(length, length), 10);
    const Answer first = answer(*engine, request), second = answer(*engine, request),
                 plain = answer(*cold, request);
    EXPECT_EQ(first.info.cached_tokens, 0);
    EXPECT_EQ(second.info.cached_tokens, found) << length;
    EXPECT_EQ(second.tokens, plain.tokens);
    EXPECT_EQ(second.logprobs, plain.logprobs);
    EXPECT_EQ(first.logprobs, plain.logprobs);
    EXPECT_EQ(plain.info.cached_tokens, 0);
  }
  const EngineStats stats = settled(*engine);
  EXPECT_EQ(stats.prefix_asked_tokens, 2 * (63 + 64 + 65 + 128 + 129 + 300));
  EXPECT_EQ(stats.prefix_found_tokens, 64 + 64 + 128 + 256);
  EXPECT_GT(stats.pages_spare, 0);
  EXPECT_EQ(stats.pages_used, 0);
}

TEST(Prefix, AnAnswerIsFoundByTheNextTurn) {
  const auto engine = tiny_engine(), cold = cold_engine();
  Tokens chat = some_prompt(70, 1);
  const Answer first = answer(*engine, request_of(chat, 80));
  chat.insert(chat.end(), first.tokens.begin(), first.tokens.end());
  const Tokens more = some_prompt(20, 2);
  chat.insert(chat.end(), more.begin(), more.end());
  const Answer second = answer(*engine, request_of(chat, 30));
  EXPECT_EQ(second.info.cached_tokens, 128) << "of 70 and 80 tokens, the last of which was never computed";
  EXPECT_EQ(second.logprobs, answer(*cold, request_of(chat, 30)).logprobs);
}

TEST(Prefix, SpacesDoNotMeet) {
  const auto engine = tiny_engine();
  EngineRequest request = request_of(some_prompt(200, 1), 5);
  request.prefix_space = "ann";
  answer(*engine, request);
  request.prefix_space = "bob";
  EXPECT_EQ(answer(*engine, request).info.cached_tokens, 0);
  request.prefix_space = "ann";
  EXPECT_EQ(answer(*engine, request).info.cached_tokens, 192);
  request.prefix_space = "";
  EXPECT_EQ(answer(*engine, request).info.cached_tokens, 0);
}

TEST(Prefix, ManyThatComeAtOnceComputeASharedBeginningOnce) {
  EngineOptions options;
  options.prefill_chunk = 64;
  const auto engine = tiny_engine(options);
  std::vector<std::shared_ptr<NotingSink>> sinks;
  for (std::uint64_t i = 0; i < 20; ++i) {
    Tokens prompt = some_prompt(256, 1);
    const Tokens own = some_prompt(10, 100 + i);
    prompt.insert(prompt.end(), own.begin(), own.end());
    sinks.push_back(std::make_shared<NotingSink>());
    ASSERT_TRUE(engine->submit(request_of(std::move(prompt), 3), sinks.back()).ok());
  }
  for (const auto& sink : sinks) sink->wait();
  EXPECT_EQ(settled(*engine).prompt_tokens, 256 + 20 * 10);
}

// Every architecture: models with states beside their pages, and with drawn tokens computed in another way
// than prompts. Eight bits where a cache has a kind of stream that others have not.
TEST(Prefix, GoldenModelsOfEveryArchitectureGiveTheSameBits) {
  const std::filesystem::path folder = DEEPWELL_SOURCE_DIR "/tests/golden/engine/models";
  struct Case {
    const char* name;
    CacheType type = CacheType::kF16;
  };
  for (const auto& [name, type] :
       {Case{"v41_101.gguf"}, Case{"v41_mixed_104.gguf", CacheType::kQ8}, Case{"v4_91.gguf"},
        Case{"v4_91.gguf", CacheType::kQ8}, Case{"v4_pro_94.gguf"}, Case{"v3_61.gguf"}, Case{"v32_71.gguf"},
        Case{"v32_71.gguf", CacheType::kQ8}, Case{"v2_lite_41.gguf"}, Case{"v2_lite_41.gguf", CacheType::kQ8},
        Case{"v2_big_51.gguf"}, Case{"deepseek_81.gguf"}, Case{"llama_llama3_5.gguf"},
        Case{"llama_llama3_5.gguf", CacheType::kQ8}, Case{"qwen2_11.gguf"}, Case{"qwen3_21.gguf"},
        Case{"qwen3moe_31.gguf"}}) {
    SCOPED_TRACE(testing::Message() << name << " " << kCacheTypeNames[static_cast<std::size_t>(type)]);
    ASSERT_TRUE(std::filesystem::exists(folder / name)) << "run scripts/golden_models.py";
    const auto load = [&](bool prefix_cache, std::int64_t swap_bytes, std::int64_t cache_bytes) {
      auto file = open_gguf((folder / name).string());
      DW_CHECK(file.ok());
      EngineOptions options;
      options.threads = 2;
      options.context = 512;
      options.cache_type = type;
      options.prefill_chunk = 128;
      options.prefix_cache = prefix_cache;
      options.swap_bytes = swap_bytes;
      options.cache_bytes = cache_bytes;
      options.swap_dir = "/nonexistent";
      auto engine = Engine::load(std::shared_ptr<const ModelFile>(std::move(file).value()), options, {});
      DW_CHECK(engine.ok());
      return std::move(engine).value();
    };
    const auto cold = load(false, -1, 0), warm = load(true, -1, 0);
    const auto vocabulary = static_cast<std::int32_t>(cold->info().vocabulary);
    std::mt19937 random(5);
    Tokens chat;
    const auto add = [&](std::size_t count) {
      for (std::size_t i = 0; i < count; ++i)
        chat.push_back(static_cast<std::int32_t>(random() % static_cast<unsigned>(vocabulary)));
    };
    std::int64_t cached = 0;
    add(150);
    for (int turn = 0; turn < 4; ++turn) {
      const EngineRequest request = request_of(chat, 40, 3);
      const Answer first = answer(*warm, request), plain = answer(*cold, request);
      EXPECT_EQ(first.logprobs, plain.logprobs) << "turn " << turn;
      EXPECT_EQ(answer(*warm, request).logprobs, plain.logprobs);
      cached = first.info.cached_tokens;
      chat.insert(chat.end(), plain.tokens.begin(), plain.tokens.end());
      add(20);
    }
    EXPECT_GT(cached, 0);
    // Put aside and gone on with, out of memory and computed anew.
    for (const std::int64_t swap_bytes : {std::int64_t{-1}, std::int64_t{0}}) {
      const auto small = load(true, swap_bytes, 1);
      std::vector<EngineRequest> requests;
      std::vector<std::shared_ptr<NotingSink>> sinks;
      for (std::uint64_t i = 0; i < 5; ++i) {
        Tokens prompt(chat.begin(), chat.begin() + 60 + static_cast<std::ptrdiff_t>(i) * 7);
        requests.push_back(request_of(std::move(prompt), 150, i));
        sinks.push_back(std::make_shared<NotingSink>());
        ASSERT_TRUE(small->submit(requests.back(), sinks.back()).ok());
      }
      for (std::size_t i = 0; i < sinks.size(); ++i) {
        sinks[i]->wait();
        EXPECT_EQ(sinks[i]->tokens(), answer(*cold, requests[i]).tokens) << "swap bytes " << swap_bytes;
      }
      EXPECT_GT(small->stats().preemptions, 0);
    }
  }
}

std::unique_ptr<Engine> engine_on(const TempDir& temp, CacheType type = CacheType::kF16) {
  EngineOptions options;
  options.prefix_dir = temp / "prefixes";
  options.cache_type = type;
  return tiny_engine(options);
}

TEST(Prefix, OutlivesTheEngineOnDiskForTheSameModelAndSettings) {
  const TempDir temp;
  const auto cold = cold_engine();
  const EngineRequest request = request_of(some_prompt(400, 1), 20);
  const Answer plain = answer(*cold, request);
  {
    const auto engine = engine_on(temp);
    answer(*engine, request);
    EXPECT_EQ(answer(*engine, request).info.cached_tokens, 384);  // wanted twice: worth the disk
    EXPECT_TRUE(eventually([&] { return engine->stats().prefix_disk_bytes > 0; }))
        << "no step comes after it";
  }
  {
    const auto engine = engine_on(temp);
    const Answer warm = answer(*engine, request);
    EXPECT_EQ(warm.info.cached_tokens, 384);
    EXPECT_EQ(warm.logprobs, plain.logprobs);
    EXPECT_EQ(settled(*engine).prefix_disk_found_tokens, 384);
    EngineRequest other = request;
    other.prefix_space = "bob";
    EXPECT_EQ(answer(*engine, other).info.cached_tokens, 0);
  }
  EXPECT_EQ(answer(*engine_on(temp, CacheType::kF32), request).info.cached_tokens, 0);
  // Damage is a miss from the damaged page on.
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(temp / "prefixes"))
    if (entry.is_regular_file()) files.push_back(entry.path());
  ASSERT_GE(files.size(), 6U);
  std::mt19937 random(1);
  for (const auto& file : files) {
    std::string bytes = read_file(file);
    if (random() % 2 == 0)
      bytes.resize(random() % bytes.size());
    else
      bytes[random() % bytes.size()] ^= 4;
    std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
  }
  const auto engine = engine_on(temp);
  const Answer damaged = answer(*engine, request);
  EXPECT_EQ(damaged.info.cached_tokens, 0);
  EXPECT_EQ(damaged.logprobs, plain.logprobs);
}

// 300 requests from three threads, half of whose prompts are beginnings of each other, in a pool of two
// contexts: prefixes come and go all the time.
TEST(Prefix, RandomPrefixesAndEvictionsChangeNoBit) {
  for (const bool exact : {false, true}) {
    EngineOptions options;
    options.exact = exact;
    options.parallel = 4;
    options.prefill_chunk = 100;
    options.cache_bytes = 18 * 64 * 256;
    const auto engine = tiny_engine(options);
    ASSERT_EQ(engine->stats().pages_total, 18);
    options.prefix_cache = false;
    options.cache_bytes = 0;
    const auto cold = tiny_engine(options);
    const auto client = [&](std::uint64_t number) {
      std::mt19937_64 random(number);
      for (int i = 0; i < (exact ? 20 : 100); ++i) {
        Tokens prompt;
        while (prompt.empty() || (random() % 4 != 0 && prompt.size() < 350)) {
          const Tokens piece = some_prompt(1 + 20 * (random() % 6), 1 + random() % 3);
          prompt.insert(prompt.end(), piece.begin(), piece.end());
        }
        const EngineRequest request =
            request_of(prompt, static_cast<std::int64_t>(1 + random() % 70), random() % 1000);
        const Answer warm = answer(*engine, request), plain = answer(*cold, request);
        ASSERT_EQ(warm.tokens, plain.tokens);
        ASSERT_EQ(warm.logprobs, plain.logprobs);
      }
    };
    std::vector<std::thread> threads;
    for (std::uint64_t number = 1; number <= 3; ++number) threads.emplace_back(client, number);
    for (std::thread& thread : threads) thread.join();
    const EngineStats stats = settled(*engine);
    EXPECT_EQ(stats.pages_used, 0);
    EXPECT_GT(stats.prefix_found_tokens, 0);
    EXPECT_LE(stats.pages_spare, 18);
  }
}

}  // namespace
}  // namespace deepwell
