// SPDX-License-Identifier: Apache-2.0
// deepwell logits: what a model thinks of given tokens; the probe that parity checks are made of.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "cli/command.h"
#include "cli/thread_flags.h"
#include "engine/run/runner.h"
#include "server/model/open_model.h"
#include "store/store.h"

namespace deepwell {
namespace {

struct Flags {
  std::string model, tokens, cache_type = "f32";
  int top = 10, threads = 0, threads_batch = 0, chunk = 64;
  PinThreads pin = PinThreads::kAuto;
  bool json = false, fast = false, all = false;
};

Result<std::vector<std::int32_t>> read_tokens(const std::string& argument) {
  std::string text = argument;
  if (argument.starts_with('@')) {
    std::ifstream file(argument.substr(1));
    if (!file) return Error{ErrorCode::kNotFound, fmt::format("{}: cannot be read", argument.substr(1))};
    text.assign(std::istreambuf_iterator<char>(file), {});
  }
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == ',' || c == '[' || c == ']'; }, ' ');
  std::istringstream words(text);
  std::vector<std::int32_t> tokens;
  for (std::string word; words >> word;) {
    char* end = nullptr;
    const long value = std::strtol(word.c_str(), &end, 10);
    if (*end != '\0' || value < 0 || value > INT32_MAX)
      return Error{ErrorCode::kInvalid,
                   fmt::format("'{}' is no token id; give numbers like 1,2,3 or @FILE", word)};
    tokens.push_back(static_cast<std::int32_t>(value));
  }
  if (tokens.empty())
    return Error{ErrorCode::kInvalid, "no tokens; give numbers like --tokens 1,2,3 or @FILE"};
  return tokens;
}

/// One position: log-probability of the given next token, and the likeliest ones.
void print_position(std::span<const float> logits, std::size_t position,
                    const std::vector<std::int32_t>& tokens, const Flags& flags, double& total_loss) {
  const double peak = double{*std::max_element(logits.begin(), logits.end())};
  double sum = 0;
  for (float logit : logits) sum += std::exp(double{logit} - peak);
  const double log_sum = peak + std::log(sum);
  std::vector<std::int32_t> order(logits.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i);
  const auto count = std::min(order.size(), static_cast<std::size_t>(flags.top));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](std::int32_t a, std::int32_t b) {
                      const float x = logits[static_cast<std::size_t>(a)],
                                  y = logits[static_cast<std::size_t>(b)];
                      return x != y ? x > y : a < b;
                    });
  nlohmann::ordered_json line = {{"position", position}, {"token", tokens[position]}, {"logprob", nullptr}};
  if (position + 1 < tokens.size()) {
    const double logprob = double{logits[static_cast<std::size_t>(tokens[position + 1])]} - log_sum;
    line["logprob"] = logprob;
    total_loss -= logprob;
  }
  line["top"] = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < count; ++i)
    line["top"].push_back({order[i], double{logits[static_cast<std::size_t>(order[i])]} - log_sum});
  if (flags.all) line["logits"] = std::vector<float>(logits.begin(), logits.end());
  if (flags.json) {
    std::cout << line.dump() << '\n';
    return;
  }
  std::cout << fmt::format(
      "{:>6} {:>7}  next {:>9}  top", position, tokens[position],
      line["logprob"].is_null() ? "-" : fmt::format("{:.4f}", line["logprob"].get<double>()));
  for (const auto& [token, logprob] : line["top"].get<std::vector<std::pair<std::int32_t, double>>>())
    std::cout << fmt::format(" {}:{:.3f}", token, logprob);
  std::cout << '\n';
}

Status print_logits(const Flags& flags) {
  DW_TRY(const std::vector<std::int32_t> tokens, read_tokens(flags.tokens));
  DW_TRY(const std::string path, resolve_model(flags.model));
  DW_TRY(std::unique_ptr<ModelFile> file, open_model(path));
  RunnerOptions options;
  options.threads = flags.threads;
  options.threads_batch = flags.threads_batch;
  options.pin = flags.pin;
  options.exact = !flags.fast;
  options.cache_type = *parse_cache_type(flags.cache_type);  // one of the names, by its check
  options.cache_tokens = static_cast<std::int64_t>(tokens.size());
  DW_TRY(std::unique_ptr<Runner> runner, Runner::load(std::move(file), options));
  const auto vocabulary = static_cast<std::size_t>(runner->model().shape().vocabulary);
  for (std::int32_t token : tokens)
    if (static_cast<std::size_t>(token) >= vocabulary)
      return Error{ErrorCode::kInvalid,
                   fmt::format("token {} is outside the vocabulary of {}", token, vocabulary)};
  const ThreadPool::Caller caller(runner->threads());
  SequenceCache cache(runner->cache());
  cache.grow(static_cast<std::int64_t>(tokens.size()));
  std::vector<std::int32_t> positions(tokens.size());
  for (std::size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<std::int32_t>(i);
  std::vector<std::int32_t> rows;
  std::vector<float> logits;
  double total_loss = 0;
  for (std::size_t first = 0; first < tokens.size(); first += static_cast<std::size_t>(flags.chunk)) {
    const std::size_t count = std::min(tokens.size() - first, static_cast<std::size_t>(flags.chunk));
    rows.assign(positions.begin(), positions.begin() + static_cast<std::ptrdiff_t>(count));
    logits.resize(count * vocabulary);
    const BatchSequence sequence{0, static_cast<std::int64_t>(count), &cache, /*prompt=*/true};
    DW_RETURN_IF_ERROR(
        runner->forward({std::span(tokens).subspan(first, count), std::span(positions).subspan(first, count),
                         std::span(&sequence, 1), rows},
                        logits.data()));
    for (std::size_t i = 0; i < count; ++i)
      print_position(std::span(logits).subspan(i * vocabulary, vocabulary), first + i, tokens, flags,
                     total_loss);
  }
  if (!flags.json && tokens.size() > 1)
    std::cout << fmt::format("perplexity of the {} next tokens: {:.4f}\n", tokens.size() - 1,
                             std::exp(total_loss / static_cast<double>(tokens.size() - 1)));
  std::cout << std::flush;
  return Done{};
}

}  // namespace

Command command_commands_logits() {
  return {[](CLI::App& app) -> std::function<int()> {
    auto flags = std::make_shared<Flags>();
    CLI::App* sub =
        app.add_subcommand("logits", "Print what a model predicts after each of the given tokens");
    sub->add_option("MODEL", flags->model, "A GGUF file, a checkpoint's directory, or a name in the store")
        ->required();
    sub->add_option("--tokens", flags->tokens, "Token ids like 1,2,3, or @FILE with such numbers")
        ->required();
    sub->add_option("--top", flags->top, "How many of the likeliest tokens to show")
        ->check(CLI::Range(0, 1000))
        ->capture_default_str();
    sub->add_option("--cache-type", flags->cache_type, "Precision of the KV cache")
        ->check(CLI::IsMember(std::vector<std::string>(kCacheTypeNames.begin(), kCacheTypeNames.end())))
        ->capture_default_str();
    sub->add_flag("--fast", flags->fast,
                  "Quantize activations as 'run' and 'serve' do, instead of keeping them in F32");
    sub->add_option("--chunk", flags->chunk, "Tokens computed at once")
        ->check(CLI::Range(1, 4096))
        ->capture_default_str();
    sub->add_option("-t,--threads", flags->threads, "Threads; 0: one for each fast core")
        ->check(CLI::Range(0, 1024));
    add_thread_flags(*sub, flags->threads_batch, flags->pin);
    sub->add_flag("--all", flags->all, "With --json: every logit of every position, too");
    sub->add_flag("--json", flags->json, "One JSON object per position");
    sub->footer(
        "Activations and cache are kept in F32 unless the flags above say otherwise, so that the numbers can "
        "be\n"
        "compared with a reference implementation.\n\n"
        "Examples:\n"
        "  deepwell logits default --tokens 504,3575,282,4649,314 --top 5\n"
        "  deepwell tokenize default 'The capital of France is' > t.json && deepwell logits default --tokens "
        "@t.json");
    return [flags] {
      const Status status = print_logits(*flags);
      if (status.ok()) return 0;
      std::cerr << "deepwell: " << status.error().message << '\n';
      return 1;
    };
  }};
}

}  // namespace deepwell
