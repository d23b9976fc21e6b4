// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "base/thread_plan.h"
#include "engine/formats/model_file.h"
#include "engine/models/model.h"
#include "engine/nn/expert_store.h"
#include "engine/nn/late_packing.h"

namespace deepwell {

struct RunnerOptions {
  int threads = 0;  ///< 0: one for each fast core
  CacheType cache_type = CacheType::kF16;
  bool exact = false;
  std::int64_t cache_tokens = 8192;  ///< rounded up to pages
  bool drafting = false;             ///< with the layer that drafts, where the file has one
  /// Weights packed before load() returns, about a fifth of a second's; steps pack some of the rest each.
  std::int64_t packed_bytes = std::int64_t{256} << 20;
  /// Of experts that are read from disk when they are needed; 0: all stay in memory; -1: as large as memory
  /// allows, where the model does not fit.
  std::int64_t expert_cache_bytes = -1;
  int threads_batch = 0;  ///< of steps that read prompts; 0: as many as of others
  PinThreads pin = PinThreads::kAuto;
};

/// A loaded model with its threads, cache and work memory: forward passes by hand. The engine schedules over
/// one; benchmarks and probes use it as it is. One thread at a time.
class Runner {
 public:
  using Progress = std::function<void(double fraction)>;
  /// Keeps `file` open: token tables are read where they lie, and of a large model most weights, too, until
  /// later steps (or pack_rest) have packed them. Progress ends at 1 when the model is loaded.
  static Result<std::unique_ptr<Runner>> load(std::shared_ptr<const ModelFile> file,
                                              const RunnerOptions& options, const Progress& progress = {});

  const Model& model() const { return *model_; }
  PagePool& cache() { return *cache_; }
  ThreadPool& threads() { return *threads_; }
  /// How many of them compute a step of so many rows. Many rows are a prompt's, or as good as one.
  int threads_for(std::int64_t rows) const;
  /// logits (output rows, vocabulary). kIo when there is no memory for it, or a weight cannot be read: then
  /// the caches of the batch hold anything.
  Status forward(const Batch& batch, float* logits);
  Status draft(const Batch& batch, const float* states, float* next, float* logits);  ///< see Model::draft
  /// From now on every forward() calls this between its layers, on its thread; there it may call forward()
  /// and draft() for other sequences, which changes no bit of any.
  void between_layers(std::function<void()> call);
  /// A part of what steps would do by and by: for when there is nothing else to do. False: all was done.
  bool pack_some();
  void pack_rest();  ///< all of it: before timings
  /// Experts read from disk, or nullptr when all are in memory.
  const ExpertStore* expert_store() const { return store_.get(); }

 private:
  Runner() = default;
  template <class Compute>
  Status compute(const Batch& batch, Compute&& on);
  std::shared_ptr<const ModelFile> file_;
  std::unique_ptr<ThreadPool> threads_;
  PhaseThreads phase_threads_;
  LatePacking late_;
  std::shared_ptr<ExpertStore> store_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<PagePool> cache_;
  Scratch scratch_;
  std::function<void()> between_layers_;
  bool exact_ = false, first_step_ = true;
};

}  // namespace deepwell
