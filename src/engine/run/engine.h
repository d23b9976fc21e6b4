// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/kv/page_pool.h"
#include "engine/run/sampler.h"

namespace deepwell {

class ModelFile;

struct EngineOptions {
  int threads = 0;               ///< 0: one per physical core
  int parallel = 8;              ///< sequences decoded together at most
  std::int64_t context = 0;      ///< tokens one sequence may hold; 0: the model's own, at most 8192
  std::int64_t cache_bytes = 0;  ///< KV pool, one context at least; 0: all, up to a quarter of free memory
  int queue = 256;               ///< requests that may wait; beyond it submit says kOverloaded
  int prefill_chunk = 512;       ///< prompt tokens computed in one step at most
  CacheType cache_type = CacheType::kF16;
  bool exact = false;  ///< activations stay F32 (slow; for checking)
};

struct EngineInfo {
  std::string name, architecture, weight_types;
  std::int64_t vocabulary = 0, context = 0, context_trained = 0, layers = 0, width = 0, parameters = 0,
               weight_bytes = 0, cache_bytes_per_token = 0;
};

struct EngineStats {
  int running = 0, waiting = 0;
  std::int64_t pages_used = 0, pages_total = 0;
  std::int64_t prompt_tokens = 0, generated_tokens = 0, requests = 0, cancelled = 0;
  std::int64_t steps = 0;
  double busy_seconds = 0;
};

enum class FinishReason { kStop, kLength, kCancelled, kError };

struct FinishInfo {
  FinishReason reason;
  std::string error;  ///< for kError
  std::int64_t prompt_tokens = 0, generated_tokens = 0, cached_tokens = 0;
  double queue_seconds = 0, prefill_seconds = 0, decode_seconds = 0;
};

/// Where a request's tokens go. All calls come from the engine's thread, one at a time, and must be quick.
class TokenSink {
 public:
  virtual ~TokenSink() = default;
  /// False ends the request with kStop (a stop string was found). End tokens are not passed on.
  virtual bool on_token(const TokenOutput& output) = 0;
  virtual void on_progress(std::int64_t /*prompt_done*/, std::int64_t /*prompt_total*/) {}
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
  /// the text), kOverloaded (the queue is full). After success the sink gets exactly one on_finish.
  virtual Result<std::uint64_t> submit(EngineRequest request, std::shared_ptr<TokenSink> sink) = 0;
  virtual void cancel(std::uint64_t request) = 0;  ///< unknown ids are ignored
  virtual const EngineInfo& info() const = 0;
  virtual EngineStats stats() const = 0;
};

}  // namespace deepwell
