// SPDX-License-Identifier: Apache-2.0
#include "cli/draft_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "server/model/generation.h"
#include "server/model/prompt.h"
#include "server/model/served_model.h"

namespace deepwell {
namespace {

Status measure(ServedModel& model, const DraftBenchOptions& options, std::int64_t tokens, bool guesses) {
  GenerationOptions generation;
  generation.sampling.temperature = 0;
  generation.ignore_end = true;
  generation.max_tokens = tokens;
  const std::vector<Token> prompt = encode_raw(*model.tokenizer, options.text);
  std::vector<double> rates;
  EngineStats before;
  for (int i = -1; i < options.repeats; ++i) {  // the first warms up
    if (i == 0) before = model.engine->stats();
    DW_TRY(const GeneratedText made, generate(model, prompt, generation));
    if (made.finish.reason == FinishReason::kError) return Error{ErrorCode::kIo, made.finish.error};
    if (i >= 0)
      rates.push_back(static_cast<double>(made.finish.generated_tokens - 1) /
                      std::max(1e-9, made.finish.decode_seconds));
  }
  const EngineStats after = model.engine->stats();
  const std::int64_t guessed = after.draft_tokens - before.draft_tokens,
                     right = after.draft_tokens_right - before.draft_tokens_right;
  if (options.json) {
    const nlohmann::ordered_json line = {{"test", fmt::format("tg{}", tokens)},
                                         {"guesses", guesses},
                                         {"tokens_per_second", rates},
                                         {"draft_tokens", guessed},
                                         {"draft_tokens_accepted", right}};
    std::cout << line.dump() << std::endl;
    return Done{};
  }
  std::sort(rates.begin(), rates.end());
  std::cout << fmt::format("{:>8} {:>16} {:>12.1f}", fmt::format("tg{}", tokens),
                           guesses ? "with guesses" : "without guesses", rates[rates.size() / 2]);
  if (guesses) std::cout << fmt::format("   {} of {} guesses right", right, guessed);
  std::cout << std::endl;
  return Done{};
}

}  // namespace

Status bench_drafts(const std::string& path, const DraftBenchOptions& options) {
  for (const bool guesses : {false, true}) {
    ServedModelOptions loading;
    loading.engine = options.engine;
    loading.engine.parallel = 1;
    loading.engine.prefix_cache = false;
    if (guesses)
      loading.draft_model = options.draft_model;
    else
      loading.engine.draft = DraftSource::kOff;
    DW_TRY(const std::shared_ptr<ServedModel> model, load_served_model(path, std::move(loading)));
    for (const std::int64_t tokens : options.generations)
      if (tokens > 1) DW_RETURN_IF_ERROR(measure(*model, options, tokens, guesses));
  }
  return Done{};
}

}  // namespace deepwell
