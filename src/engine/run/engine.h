// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/thread_plan.h"
#include "engine/kv/page_pool.h"
#include "engine/run/draft_source.h"
#include "engine/run/sampler.h"

namespace deepwell {

class ModelFile;

struct EngineOptions {
  int threads = 0;               ///< 0: one for each fast core
  int parallel = 8;              ///< sequences decoded together at most
  std::int64_t context = 0;      ///< tokens one sequence may hold; 0: the model's own, at most 8192
  std::int64_t cache_bytes = 0;  ///< KV pool, one context at least; 0: all, up to a quarter of free memory
  /// Of experts that are read from disk when they are needed; 0: all stay in memory; -1: as large as memory
  /// allows, where the model does not fit.
  std::int64_t expert_cache_bytes = -1;
  int queue = 1024;         ///< requests that may wait; beyond it submit says kOverloaded
  int prefill_chunk = 512;  ///< prompt tokens computed in one step at most
  CacheType cache_type = CacheType::kF16;
  int draft_tokens = 8;  ///< guessed and verified in one pass, at most; 0: none
  DraftSource draft = DraftSource::kAuto;
  std::shared_ptr<const ModelFile> draft_model;      ///< of the same vocabulary
  bool exact = false;                                ///< activations stay F32 (slow; for checking)
  bool prefix_cache = true;                          ///< pages of earlier prompts and answers are used again
  std::string prefix_dir;                            ///< where prefixes outlive the process; "": nowhere
  std::int64_t prefix_disk_bytes = 8'000'000'000;    ///< they take at most so much there
  std::function<void(const std::string& line)> log;  ///< what an operator should know; from any thread
  std::string swap_dir;  ///< where sequences wait when memory is short; "": the system's folder for that
  std::int64_t swap_bytes =
      -1;                 ///< of memory for sequences put aside, then a file; -1: as much as the KV pool
  int threads_batch = 0;  ///< of steps that read prompts; 0: as many as of others
  PinThreads pin = PinThreads::kAuto;
};

struct EngineInfo {
  std::string name, architecture, weight_types;
  std::int64_t vocabulary = 0, context = 0, context_trained = 0, layers = 0, width = 0, parameters = 0,
               weight_bytes = 0, cache_bytes_per_token = 0;
};

struct EngineStats {
  int running = 0, waiting = 0;                                   ///< waiting: not yet started, or put aside
  std::int64_t pages_used = 0, pages_total = 0, pages_spare = 0;  ///< spare: kept prefixes, free when needed
  std::int64_t prompt_tokens = 0, generated_tokens = 0, requests = 0, cancelled = 0, failed = 0;
  std::int64_t prefix_asked_tokens = 0, prefix_found_tokens = 0;  ///< of prompts
  std::int64_t prefix_disk_bytes = 0, prefix_disk_found_tokens = 0, prefix_disk_written_bytes = 0;
  std::int64_t preemptions = 0, swapped_bytes = 0;
  std::int64_t steps = 0;
  /// How many steps computed up to so many tokens of prompts and answers; the last: more.
  static constexpr std::array<std::int64_t, 13> kStepSizes = {1,   8,    16,   32,   64,   128,  256,
                                                              512, 1024, 2048, 4096, 8192, 16384};
  std::array<std::int64_t, kStepSizes.size() + 1> steps_by_size{};
  std::int64_t draft_tokens = 0, draft_tokens_right = 0;                 ///< guessed; of them, drawn
  double prompt_tokens_per_second = 0, generated_tokens_per_second = 0;  ///< of the last ten seconds
  double busy_seconds = 0;
  double stalled_seconds = 0;      ///< since the step loop last came by although there is work; 0 while idle
  double retry_after_seconds = 0;  ///< what the last request refused for a full queue should wait
};

enum class FinishReason { kStop, kLength, kCancelled, kDeadline, kError };

struct FinishInfo {
  FinishReason reason;
  std::string error;  ///< for kError
  std::int64_t prompt_tokens = 0, generated_tokens = 0, cached_tokens = 0;
  double queue_seconds = 0, prefill_seconds = 0, decode_seconds = 0;
  double estimated_queue_seconds = -1;  ///< the first that on_queue() told, from submission; -1: it never did
};

/// Where a waiting request stands.
struct QueuePlace {
  int position = 1;    ///< 1: next
  double seconds = 0;  ///< until it starts, estimated
};

/// What a vector that stands for a text is made of: the last hidden states of its tokens, normed as for
/// logits.
enum class Pooling { kMean, kLast };

/// Where a request's tokens go. All calls come from the engine's thread, one at a time, and must be quick.
class TokenSink {
 public:
  virtual ~TokenSink() = default;
  /// False ends the request with kStop (a stop string was found). End tokens are not passed on.
  virtual bool on_token(const TokenOutput& output) = 0;
  virtual void on_progress(std::int64_t /*prompt_done*/, std::int64_t /*prompt_total*/) {}
  /// Of a request with `pooling`, instead of tokens: the vector (width).
  virtual void on_embedding(std::vector<float> /*vector*/) {}
  /// Now and then while the request waits.
  virtual void on_queue(const QueuePlace& /*place*/) {}
  /// The last call; comes exactly once for every submitted request.
  virtual void on_finish(const FinishInfo& info) = 0;
};

struct EngineRequest {
  std::vector<std::int32_t> prompt;  ///< at least one token
  SamplingOptions sampling;
  std::int64_t max_tokens = -1;  ///< -1: until the context is full
  bool ignore_end = false;       ///< go on after end tokens
  /// What the answer must look like, or nullptr; used by this request alone. Its failure ends the request
  /// with kError: text that does not fit is never handed out.
  std::shared_ptr<TokenConstraint> constraint{};
  std::string account;               ///< whose it is: accounts with work get equal shares
  std::string prefix_space;          ///< requests of one space find each other's prefixes, others never
  int priority = 0;                  ///< lower first, whatever the shares
  std::optional<Pooling> pooling{};  ///< the prompt's vector is wanted, and no answer
  bool admitted = false;             ///< part of what was taken in before: the queue's bound lets it pass
  std::optional<std::chrono::steady_clock::time_point> deadline;  ///< then it ends with kDeadline
};

/// A loaded model that answers many requests at once. One thread inside owns weights, cache and samplers;
/// every public function may be called from any thread.
class Engine {
 public:
  using Progress = std::function<void(double fraction)>;
  using EndToken = std::function<bool(std::int32_t)>;  ///< which tokens end a reply

  /// Packs the weights for this machine. The file stays open: token tables are read where they lie.
  static Result<std::unique_ptr<Engine>> load(std::shared_ptr<const ModelFile> file, EngineOptions options,
                                              EndToken ends_generation, const Progress& progress = {});
  virtual ~Engine() = default;  ///< cancels what runs

  /// Errors: kInvalid (empty prompt, token out of range, prompt longer than the context: both numbers are in
  /// the text), kOverloaded (the queue is full; a place is kept for the same prompt of the same account until
  /// stats().retry_after_seconds and a little longer; places kept are at most half of the queue). After
  /// success the sink gets exactly one on_finish.
  virtual Result<std::uint64_t> submit(EngineRequest request, std::shared_ptr<TokenSink> sink) = 0;
  virtual void cancel(std::uint64_t request) = 0;  ///< unknown ids are ignored
  /// How many of a prompt's first tokens would be found in memory instead of computed; told soon, from the
  /// engine's thread.
  virtual void look_up(std::vector<std::int32_t> prompt, std::string prefix_space,
                       std::function<void(std::int64_t tokens)> then) = 0;
  virtual const EngineInfo& info() const = 0;
  virtual EngineStats stats() const = 0;
};

}  // namespace deepwell
