// SPDX-License-Identifier: Apache-2.0
// deepwell bench: how fast a model runs here, and how much of what this machine can do that is.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/human.h"
#include "cli/command.h"
#include "cli/draft_bench.h"
#include "cli/thread_flags.h"
#include "engine/run/describe.h"
#include "engine/run/fit_estimate.h"
#include "engine/run/machine_peak.h"
#include "engine/run/runner.h"
#include "server/model/open_model.h"
#include "store/store.h"

namespace deepwell {
namespace {

struct Flags {
  std::string model, cache_type = "f16";
  std::vector<std::int64_t> prompts = {512}, generations = {64}, batches = {1}, depths = {0};
  std::vector<int> threads = {0};
  int threads_batch = 0;
  PinThreads pin = PinThreads::kAuto;
  int repeats = 3, chunk = 512;
  std::int64_t expert_cache = -1;
  bool json = false, no_peak = false, shared = false, equal = false;
  std::string text =
      "Here is a list of rivers and the seas they flow into.\n\n"
      "The Rhine flows into the North Sea.\nThe Danube flows into the Black Sea.\n";
  std::string draft, draft_model;  // draft: "" as long as nothing is said of guesses
  int draft_tokens = 8;
};

struct Test {
  std::int64_t prompt, generate, batch, depth;
  std::string name() const {
    return prompt > 0 ? fmt::format("pp{}", prompt) : fmt::format("tg{}", generate);
  }
  /// Of a step.
  std::int64_t rows(int chunk) const { return prompt > 0 ? std::min<std::int64_t>(prompt, chunk) : batch; }
  std::int64_t tokens() const { return (prompt > 0 ? prompt : generate) * batch; }
};

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Sequences that can be fed tokens; what they say does not matter for speed.
class Feeder {
 public:
  /// `equal`: each gets the same tokens.
  Feeder(Runner& runner, std::int64_t batch, bool equal) : runner_(runner), equal_(equal) {
    for (std::int64_t i = 0; i < batch; ++i) caches_.emplace_back(runner.cache());
    done_.assign(static_cast<std::size_t>(batch), 0);
  }

  /// `count` more tokens of sequences [first, last) in one pass.
  Status feed(std::size_t first, std::size_t last, std::int64_t count, bool prompt) {
    tokens_.clear();
    positions_.clear();
    rows_.clear();
    sequences_.clear();
    const std::int64_t vocabulary = runner_.model().shape().vocabulary;
    for (std::size_t s = first; s < last; ++s) {
      caches_[s].grow(done_[s] + count);
      sequences_.push_back({static_cast<std::int64_t>(tokens_.size()), count, &caches_[s], prompt});
      for (std::int64_t i = 0; i < count; ++i) {
        tokens_.push_back(static_cast<std::int32_t>(
            (done_[s] * 7919 + (equal_ ? 0 : static_cast<std::int64_t>(s)) * 104729 + 17) % vocabulary));
        positions_.push_back(static_cast<std::int32_t>(done_[s]++));
      }
      rows_.push_back(static_cast<std::int32_t>(tokens_.size()) - 1);
    }
    logits_.resize(rows_.size() * static_cast<std::size_t>(vocabulary));
    return runner_.forward({tokens_, positions_, sequences_, rows_}, logits_.data());
  }

  Status feed_prompt(std::int64_t tokens, std::int64_t chunk) {
    for (std::size_t s = 0; s < caches_.size(); ++s)
      for (std::int64_t left = tokens; left > 0; left -= chunk)
        DW_RETURN_IF_ERROR(feed(s, s + 1, std::min(left, chunk), true));
    return Done{};
  }
  /// A prompt that all sequences begin with: its whole pages are computed once, as a server's prefix cache
  /// would.
  Status feed_common(std::int64_t tokens, std::int64_t chunk) {
    const std::int64_t common = tokens / kPageTokens * kPageTokens;
    for (std::int64_t left = common; left > 0; left -= chunk)
      DW_RETURN_IF_ERROR(feed(0, 1, std::min(left, chunk), true));
    for (std::size_t s = 1; s < caches_.size(); ++s) {
      for (std::int64_t p = 0; p < common / kPageTokens; ++p)
        caches_[s].adopt(caches_[0].pages()[static_cast<std::size_t>(p)]);
      std::ranges::copy(caches_[0].rolling(), caches_[s].rolling().begin());
      done_[s] = common;
    }
    return feed_prompt(tokens - common, chunk);
  }
  Status generate(std::int64_t tokens) {
    for (std::int64_t i = 0; i < tokens; ++i) DW_RETURN_IF_ERROR(feed(0, caches_.size(), 1, false));
    return Done{};
  }

 private:
  Runner& runner_;
  const bool equal_;
  std::vector<SequenceCache> caches_;
  std::vector<std::int64_t> done_;
  std::vector<std::int32_t> tokens_, positions_, rows_;
  std::vector<BatchSequence> sequences_;
  std::vector<float> logits_;
};

/// Seconds from `start`, when loading began, to the logits behind a short prompt.
Result<double> first_token(Runner& runner, double start) {
  constexpr std::int64_t kPrompt = 16;
  Feeder feeder(runner, 1, false);
  DW_RETURN_IF_ERROR(feeder.feed_prompt(kPrompt, kPrompt));
  return now() - start;
}

/// Tokens per second of one run.
Result<double> measure(Runner& runner, const Test& test, const Flags& flags) {
  Feeder feeder(runner, test.batch, flags.equal);
  DW_RETURN_IF_ERROR(flags.shared ? feeder.feed_common(test.depth, flags.chunk)
                                  : feeder.feed_prompt(test.depth, flags.chunk));
  const double start = now();
  if (test.prompt > 0)
    DW_RETURN_IF_ERROR(feeder.feed_prompt(test.prompt, flags.chunk));
  else
    DW_RETURN_IF_ERROR(feeder.generate(test.generate));
  return static_cast<double>(test.tokens()) / (now() - start);
}

/// What a rate is of the machine's peak: as int8 operations, and as weight bytes read from memory.
struct Fractions {
  double int8 = 0, bandwidth = 0;
  double higher() const { return std::max(int8, bandwidth); }
};

/// A rate against the machine's peak. A step reads the weights once for the tokens it computes together
/// (every expert that some token may choose; --equal tokens choose the same), and multiplies each weight once
/// for each token; the head only where logits are wanted.
Fractions fractions_of(const FitNeeds& needs, const Test& test, double tokens_per_second,
                       const MachinePeak& peak, const Flags& flags) {
  const bool prompt = test.prompt > 0;
  const auto rows = static_cast<double>(test.rows(flags.chunk));
  const double used = static_cast<double>(needs.experts_used) / static_cast<double>(needs.experts);
  const double choices = flags.equal && !prompt ? 1 : rows;
  const double touched = 1 - std::pow(1 - used, choices);  // share of the experts, were choices independent
  const double head_rows = prompt ? 1 : rows;
  const double bytes = needs.always.bytes + needs.head.bytes + needs.routed.bytes * touched;
  const double weights =
      needs.always.weights + needs.routed.weights * used + needs.head.weights * head_rows / rows;
  return {tokens_per_second * 2 * weights / (peak.int8_gops * 1e9),
          tokens_per_second * bytes / rows / (peak.read_gb_per_second * 1e9)};
}

std::vector<Test> tests_of(const Flags& flags) {
  std::vector<Test> tests;
  for (std::int64_t depth : flags.depths)
    for (std::int64_t batch : flags.batches) {
      for (std::int64_t prompt : flags.prompts)
        if (prompt > 0) tests.push_back({prompt, 0, batch, depth});
      for (std::int64_t generate : flags.generations)
        if (generate > 0) tests.push_back({0, generate, batch, depth});
    }
  return tests;
}

/// With --draft or --draft-model: a text that goes on, with guesses and without.
Status bench_guesses(const std::string& path, const Flags& flags) {
  DraftBenchOptions options;
  options.engine.threads = flags.threads.front();
  options.engine.threads_batch = flags.threads_batch;
  options.engine.pin = flags.pin;
  options.engine.cache_type = *parse_cache_type(flags.cache_type);  // one of the names, by its check
  options.engine.draft = parse_draft_source(flags.draft).value_or(DraftSource::kAuto);
  options.engine.draft_tokens = flags.draft_tokens;
  if (!flags.draft_model.empty()) {
    DW_TRY(options.draft_model, resolve_model(flags.draft_model));
  }
  options.text = flags.text;
  options.generations = flags.generations;
  options.repeats = flags.repeats;
  options.json = flags.json;
  return bench_drafts(path, options);
}

Status bench(const Flags& flags) {
  DW_TRY(const std::string path, resolve_model(flags.model));
  if (!flags.draft.empty() || !flags.draft_model.empty()) return bench_guesses(path, flags);
  DW_TRY(std::unique_ptr<ModelFile> opened, open_model(path));
  const std::shared_ptr<const ModelFile> file = std::move(opened);
  const std::vector<Test> tests = tests_of(flags);
  std::int64_t cache_tokens = 0;
  for (const Test& test : tests)
    cache_tokens =
        std::max(cache_tokens, (test.depth + std::max(test.prompt, test.generate) + 64) * test.batch);
  DW_TRY(const FitNeeds needs, count_needs(*file, {.drafting = false}));
  const EngineInfo info = describe_model(*file);
  if (!flags.json)
    std::cout << fmt::format("{} ({}, {})\n", info.name.empty() ? path : info.name, info.architecture,
                             info.weight_types);
  for (int threads : flags.threads) {
    const double start = now();
    RunnerOptions options;
    options.threads = threads;
    options.threads_batch = flags.threads_batch;
    options.pin = flags.pin;
    options.cache_tokens = cache_tokens;
    options.expert_cache_bytes = flags.expert_cache;
    options.cache_type = *parse_cache_type(flags.cache_type);  // one of the names, by its check
    DW_TRY(const std::unique_ptr<Runner> runner, Runner::load(file, options));
    const ThreadPool::Caller caller(runner->threads());
    DW_TRY(const double first, first_token(*runner, start));
    if (!flags.json) std::cout << fmt::format("first token of a short prompt after {:.2f} s\n", first);
    if (!tests.empty()) runner->pack_rest();
    MachinePeak peak;
    if (!flags.no_peak) peak = measure_peak(runner->threads());
    const int generate = runner->threads_for(1), prompt = runner->threads_for(flags.chunk);
    if (!flags.json && !flags.no_peak)
      std::cout << fmt::format(
          "{} threads{}; this machine's peak: {:.0f} int8 GOPS, {:.1f} GB/s\n"
          "{:>8} {:>6} {:>7} {:>12} {:>9}\n",
          generate, prompt == generate ? "" : fmt::format(", {} for prompts", prompt), peak.int8_gops,
          peak.read_gb_per_second, "test", "batch", "depth", "tokens/s", "of peak");
    for (const Test& test : tests) {
      const Test warm_up{std::min<std::int64_t>(test.prompt, 64), std::min<std::int64_t>(test.generate, 4),
                         test.batch, 0};
      DW_RETURN_IF_ERROR(measure(*runner, warm_up, flags));
      std::vector<double> rates;
      for (int i = 0; i < flags.repeats; ++i) {
        DW_TRY(const double rate, measure(*runner, test, flags));
        rates.push_back(rate);
      }
      std::vector<double> sorted = rates;
      std::sort(sorted.begin(), sorted.end());
      const double median = sorted[sorted.size() / 2];
      const Fractions fractions =
          flags.no_peak ? Fractions{} : fractions_of(needs, test, median, peak, flags);
      if (flags.json) {
        nlohmann::ordered_json line = {
            {"test", test.name()},          {"batch", test.batch},
            {"depth", test.depth},          {"threads", runner->threads_for(test.rows(flags.chunk))},
            {"first_token_seconds", first}, {"tokens_per_second", rates}};
        const auto or_null = [&](double value) {
          return flags.no_peak ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(value);
        };
        line["peak_fraction"] = or_null(fractions.higher());
        line["int8_fraction"] = or_null(fractions.int8);
        line["bandwidth_fraction"] = or_null(fractions.bandwidth);
        if (!flags.no_peak)
          line["peak"] = {{"int8_gops", peak.int8_gops}, {"read_gb_per_second", peak.read_gb_per_second}};
        std::cout << line.dump() << std::endl;
      } else {
        std::cout << fmt::format("{:>8} {:>6} {:>7} {:>12.1f} {:>9}\n", test.name(), test.batch, test.depth,
                                 median,
                                 flags.no_peak ? "-" : fmt::format("{:.0f}%", fractions.higher() * 100))
                  << std::flush;
      }
    }
    if (const ExpertStore* store = runner->expert_store(); store != nullptr && !flags.json) {
      const ExpertStore::Stats& stats = store->stats();
      std::cout << fmt::format("experts: {:.0f}% of {} uses found in memory, {} read from disk\n",
                               100.0 * static_cast<double>(stats.hits) /
                                   static_cast<double>(std::max<std::int64_t>(1, stats.hits + stats.misses)),
                               stats.hits + stats.misses, human_bytes(stats.bytes_read));
    }
  }
  return Done{};
}

}  // namespace

Command command_commands_bench() {
  return {[](CLI::App& app) -> std::function<int()> {
    auto flags = std::make_shared<Flags>();
    CLI::App* sub = app.add_subcommand("bench", "Measure how fast a model runs on this machine");
    sub->add_option("MODEL", flags->model, "A GGUF file, a checkpoint's directory, or a name in the store")
        ->required();
    sub->add_option("-p,--prompt", flags->prompts, "Prompt lengths; 0: none")
        ->delimiter(',')
        ->check(CLI::Range(0, 1 << 20))
        ->capture_default_str();
    sub->add_option("-n,--generate", flags->generations, "Tokens generated; 0: none")
        ->delimiter(',')
        ->check(CLI::Range(0, 1 << 20))
        ->capture_default_str();
    sub->add_option("-b,--batch", flags->batches, "Sequences at once")
        ->delimiter(',')
        ->check(CLI::Range(1, 4096))
        ->capture_default_str();
    sub->add_option("-d,--depth", flags->depths, "Tokens in the context before the test begins")
        ->delimiter(',')
        ->check(CLI::Range(0, 1 << 24))
        ->capture_default_str();
    sub->add_flag("--equal", flags->equal,
                  "All sequences get the same tokens: a mixture of experts then reads fewer of them");
    sub->add_flag("--shared", flags->shared, "The sequences' --depth tokens are the same and cached once");
    sub->add_option("-t,--threads", flags->threads, "Threads; 0: one for each fast core")
        ->delimiter(',')
        ->check(CLI::Range(0, 1024));
    add_thread_flags(*sub, flags->threads_batch, flags->pin);
    sub->add_option("-r,--repeats", flags->repeats, "Runs of each test")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    sub->add_option("--chunk", flags->chunk, "Prompt tokens computed at once")
        ->check(CLI::Range(1, 1 << 16))
        ->capture_default_str();
    sub->add_option("--cache-type", flags->cache_type, "Precision of the KV cache")
        ->check(CLI::IsMember(std::vector<std::string>(kCacheTypeNames.begin(), kCacheTypeNames.end())))
        ->capture_default_str();
    sub->add_option("--draft", flags->draft,
                    "Measure -n tokens that go on from --text, with guesses by ngram, mtp, model or auto and "
                    "without, instead of the tests above")
        ->check(CLI::IsMember(std::vector<std::string>(kDraftSourceNames.begin(), kDraftSourceNames.end())));
    sub->add_option("--draft-model", flags->draft_model, "The same with a smaller model that guesses");
    sub->add_option("--draft-tokens", flags->draft_tokens, "Tokens guessed and verified in one pass at most")
        ->check(CLI::Range(0, 64))
        ->capture_default_str();
    sub->add_option("--text", flags->text, "What the model goes on from where guesses are measured")
        ->default_str("a short text");
    sub->add_option("--expert-cache", flags->expert_cache,
                    "Memory for experts that are read from disk when they are needed, as 2GB; 0: all stay in "
                    "memory; without it: what there is, where the model does not fit")
        ->transform(CLI::AsSizeValue(true));
    sub->add_flag("--no-peak", flags->no_peak, "Do not measure what the machine could do");
    sub->add_flag("--json", flags->json, "One JSON object per test");
    sub->footer(
        "The last column is the median as a share of what the machine allows by the larger of two limits: "
        "reading\n"
        "the weights once per step, or multiplying them in int8; both measured here before the tests.\n\n"
        "Examples:\n"
        "  deepwell bench default\n"
        "  deepwell bench model.gguf -n 128 --draft-model small.gguf\n"
        "  deepwell bench model.gguf -p 512 -n 64 -b 1,8 -d 0,4096 -t 2 -r 5 --json");
    return [flags] {
      const Status status = bench(*flags);
      if (status.ok()) return 0;
      std::cerr << "deepwell: " << status.error().message << '\n';
      return 1;
    };
  }};
}

}  // namespace deepwell
