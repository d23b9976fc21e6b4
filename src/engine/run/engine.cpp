// SPDX-License-Identifier: Apache-2.0
#include "engine/run/engine.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/cpu.h"
#include "base/human.h"
#include "base/memory.h"
#include "base/version.h"
#include "engine/run/describe.h"
#include "engine/run/drafters.h"
#include "engine/run/fingerprint.h"
#include "engine/run/fit_estimate.h"
#include "engine/run/machine_peak.h"
#include "engine/run/model_drafter.h"
#include "engine/run/scheduler.h"

namespace deepwell {
namespace {
constexpr std::int64_t kMostContext = std::int64_t{1} << 30;  // positions are 32 bits wide

/// What steps reach of the machine's limits, about; small models less, large ones more.
constexpr double kReached = 0.5;

/// By the machine's limits as they are now.
Forecast::Guess guess_speed(const FitNeeds& needs, ThreadPool& threads) {
  Forecast::Guess guess;
  const auto bytes = static_cast<std::int64_t>(needs.always.bytes + needs.head.bytes + needs.routed.bytes);
  const MachinePeak peak = glance_at_peak(threads, bytes);
  FitMachine machine;
  machine.read_gb_per_second = peak.read_gb_per_second;
  machine.int8_gops = peak.int8_gops;
  if (machine.read_gb_per_second <= 0 || machine.int8_gops <= 0) return guess;
  const FitSpeed most = speed_limits(needs, machine);
  if (most.together_empty <= 0 || most.prefill <= 0) return guess;
  guess.token_seconds = static_cast<double>(needs.parallel) / (most.together_empty * kReached);
  guess.prompt_token_seconds = 1 / (most.prefill * kReached);
  return guess;
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::load(std::shared_ptr<const ModelFile> file, EngineOptions options,
                                             EndToken ends_generation, const Progress& progress) {
  DW_TRY(const std::int64_t trained, trained_context(*file));
  if (options.context < 0 || options.parallel < 1 || options.queue < 0 || options.prefill_chunk < 1)
    return Error{ErrorCode::kInvalid, "context, parallel, queue and prefill chunk must be positive"};
  if (options.context > kMostContext)
    return Error{ErrorCode::kInvalid, fmt::format("a context of {} tokens is more than the {} there can be",
                                                  options.context, kMostContext)};
  EngineInfo info = describe_model(*file);
  info.context_trained = trained;
  info.context = options.context > 0 ? options.context : std::min<std::int64_t>(trained, 8192);
  DW_TRY(const DraftSource source, choose_drafter(options, *file));
  if (source == DraftSource::kModel) DW_RETURN_IF_ERROR(check_same_vocabulary(*file, *options.draft_model));
  const bool drafting = source == DraftSource::kMtp;
  DW_TRY(const CacheLayout layout, cache_layout_of(*file, options.cache_type, drafting));
  info.cache_bytes_per_token = layout.bytes_per_token();
  const std::int64_t rolling = layout.rolling_bytes();  // of each sequence, whatever its length
  const std::int64_t memory = available_memory_bytes();
  const double wanted = static_cast<double>(info.context) * static_cast<double>(info.cache_bytes_per_token) +
                        static_cast<double>(rolling);
  if (memory > 0 &&
      wanted > static_cast<double>(memory)) {  // granted by the system, it would be killed later
    if (options.context > 0)
      return Error{
          ErrorCode::kInvalid,
          fmt::format("a context of {} tokens takes {} of cache, but {} are free; use a smaller --context",
                      info.context, human_bytes(static_cast<std::int64_t>(wanted)), human_bytes(memory))};
    info.context = std::max<std::int64_t>(
        512, (memory / 2 - rolling) / std::max<std::int64_t>(1, info.cache_bytes_per_token));
  }

  RunnerOptions runner_options;
  runner_options.threads = options.threads;
  runner_options.threads_batch = options.threads_batch;
  runner_options.pin = options.pin;
  runner_options.cache_type = options.cache_type;
  runner_options.exact = options.exact;
  runner_options.drafting = drafting;
  runner_options.cache_tokens = info.context * options.parallel;
  const std::int64_t allowed = options.cache_bytes > 0 ? options.cache_bytes : memory / 4;
  if (allowed > 0 && info.cache_bytes_per_token > 0)  // but one whole sequence at least
    runner_options.cache_tokens = std::clamp(
        std::max<std::int64_t>(0, allowed - rolling * options.parallel) / info.cache_bytes_per_token,
        info.context, runner_options.cache_tokens);
  runner_options.expert_cache_bytes = options.expert_cache_bytes;
  const std::string fingerprint = options.prefix_dir.empty() ? "" : fingerprint_of(*file);
  DW_TRY(const FitNeeds needs, count_needs(*file, {.context = info.context,
                                                   .parallel = options.parallel,
                                                   .cache_type = options.cache_type,
                                                   .drafting = drafting}));
  DW_TRY(std::unique_ptr<Runner> runner, Runner::load(std::move(file), runner_options, progress));
  if (const ExpertStore* const store = runner->expert_store(); store != nullptr && options.log)
    options.log(
        fmt::format("{} of {} of experts are kept in memory, the others read from disk when needed{}",
                    human_bytes(store->cache_bytes()), human_bytes(store->bytes()),
                    options.expert_cache_bytes < 0 ? " (the model does not fit; --expert-cache)" : ""));
  DW_TRY(std::unique_ptr<Drafter> drafter,
         make_drafter(source, options, *runner, runner_options.cache_tokens));
  std::unique_ptr<PrefixDisk> disk;
  if (!options.prefix_dir.empty() && options.prefix_cache) {
    const CacheLayout& pages = runner->cache().layout();
    PrefixDiskOptions disk_options;
    disk_options.folder = options.prefix_dir;
    disk_options.bytes_max = options.prefix_disk_bytes;
    // All that the bits of a page depend on.
    disk_options.version = fmt::format(
        "{} {} {} {} {} {} {} {}", version(), isa_name(best_isa()), has_avx512_bf16(), has_avx512_vbmi(),
        static_cast<int>(options.cache_type), options.exact, drafting, fingerprint);
    disk_options.page_bytes = pages.bytes_per_page();
    disk_options.state_bytes = pages.rolling_bytes();
    disk_options.log = options.log;
    DW_TRY(disk, PrefixDisk::open(std::move(disk_options)));
  }
  const Forecast::Guess guess = guess_speed(needs, runner->threads());
  return make_scheduler(std::move(runner), std::move(drafter), std::move(options), std::move(info),
                        std::move(ends_generation), std::move(disk), guess);
}

}  // namespace deepwell
