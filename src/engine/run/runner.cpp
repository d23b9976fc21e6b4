// SPDX-License-Identifier: Apache-2.0
#include "engine/run/runner.h"

#include <fmt/format.h>
#include <malloc.h>

#include <limits>
#include <new>

#include "base/human.h"
#include "base/memory.h"
#include "base/numa.h"
#include "engine/formats/file_place.h"
#include "engine/models/loader.h"
#include "engine/run/describe.h"

namespace deepwell {
namespace {

// Packed before a step: about as much time as the step itself takes, where it generates.
constexpr std::int64_t kBytesAStep = std::int64_t{128} << 20;
constexpr std::int64_t kRowsAStep = 64;  // a longer prompt takes more time, and has more of it packed
// From so many rows on, arithmetic limits a step, not memory.
constexpr std::int64_t kPromptRows = 32;

/// Memory for experts that are read from disk; 0: all stay in memory.
Result<std::int64_t> expert_cache_of(const ModelFile& file, const RunnerOptions& options) {
  const WeightSizes weights = weight_sizes_of(file, options.drafting);
  if (weights.experts == 0) return 0;
  if (options.expert_cache_bytes >= 0) return options.expert_cache_bytes;
  DW_TRY(const CacheLayout layout, cache_layout_of(file, options.cache_type, options.drafting));
  const std::int64_t pages = (options.cache_tokens + layout.page_tokens - 1) / layout.page_tokens;
  return expert_cache_for(weights, pages * layout.bytes_per_page(), available_memory_bytes());
}

}  // namespace

Result<std::unique_ptr<Runner>> Runner::load(std::shared_ptr<const ModelFile> file,
                                             const RunnerOptions& options, const Progress& progress) {
  DW_TRY(const Architecture architecture, find_architecture(file->architecture()));
  std::unique_ptr<Runner> runner(new Runner);
  runner->file_ = std::move(file);
  runner->exact_ = options.exact;
  const ThreadOptions threads{options.threads, options.threads_batch, options.pin};
  runner->phase_threads_ = phase_threads(threads, machine_topology());
  runner->threads_ = std::make_unique<ThreadPool>(plan_threads(threads, machine_topology()));
  const auto* const placed = dynamic_cast<const PlacedFile*>(runner->file_.get());
  DW_TRY(const std::int64_t expert_cache, expert_cache_of(*runner->file_, options));
  if (placed != nullptr && expert_cache > 0) runner->store_ = std::make_shared<ExpertStore>();
  Loader loader(*runner->file_, *runner->threads_, progress,
                {.drafting = options.drafting, .late = &runner->late_, .store = runner->store_});
  try {
    DW_TRY(runner->model_, architecture.load(loader));
    runner->late_.pack(options.packed_bytes, *runner->threads_);
    if (runner->store_ != nullptr)
      DW_RETURN_IF_ERROR(runner->store_->open(
          expert_cache, [&](std::span<const std::byte> bytes) { return placed->place(bytes); }));
  } catch (const std::bad_alloc&) {  // see forward()
    return Error{
        ErrorCode::kIo,
        fmt::format("{}: there is no memory for the weights of {}; free some, or take a smaller model",
                    runner->file_->path(), human_bytes(runner->file_->file_bytes()))};
  }
  malloc_trim(0);             // what is rearranged at load went through floats
  if (progress) progress(1);  // not every tensor of a file is packed, or even used
  CacheLayout layout = runner->model_->cache_layout(options.cache_type);
  const std::int64_t pages = (options.cache_tokens + layout.page_tokens - 1) / layout.page_tokens;
  DW_TRY(runner->cache_, PagePool::make(std::move(layout), std::max<std::int64_t>(1, pages)));
  const PagePool& cache = *runner->cache_;
  if (const std::vector<int>& nodes = runner->threads_->memory_nodes(); !nodes.empty())
    spread_over_nodes(cache.bytes(0).data(),  // every thread may read any of it
                      cache.bytes(0).size() * static_cast<std::size_t>(cache.pages()), nodes);
  runner->threads_->use(runner->phase_threads_.generate);
  return runner;
}

// Operators take memory in a hundred places, so here std::bad_alloc may cross layers, up to this border.
template <class Compute>
Status Runner::compute(const Batch& batch, Compute&& on) {
  const ScratchScope scope(scratch_);
  const struct Outside {  // threads of the step that this one interrupts
    ThreadPool& pool;
    int threads;
    ~Outside() { pool.use(threads); }
  } outside{*threads_, threads_->use(threads_for(batch.rows()))};
  // Nobody waits longer for the first token of all.
  if (!first_step_) late_.pack(kBytesAStep * (1 + batch.rows() / kRowsAStep), *threads_);
  first_step_ = false;
  try {
    Context context{*threads_, scratch_, exact_, &between_layers_};
    on(context);
  } catch (const std::bad_alloc&) {
    return Error{
        ErrorCode::kIo,
        fmt::format("there is no memory to compute {} tokens at once (beside {} of work memory taken); "
                    "free some, or use a smaller --context or --parallel",
                    batch.rows(), human_bytes(static_cast<std::int64_t>(scratch_.bytes())))};
  }
  return store_ == nullptr ? Status(Done{}) : store_->take_failure();
}

Status Runner::forward(const Batch& batch, float* logits) {
  return compute(batch, [&](Context& context) { model_->forward(batch, logits, context); });
}

Status Runner::draft(const Batch& batch, const float* states, float* next, float* logits) {
  return compute(batch, [&](Context& context) { model_->draft(batch, states, next, logits, context); });
}

// Not where an expert could not be read: whose pass that ends is told at the end of the pass.
void Runner::between_layers(std::function<void()> call) {
  between_layers_ = [this, call = std::move(call)] {
    if (store_ == nullptr || !store_->failed()) call();
  };
}

int Runner::threads_for(std::int64_t rows) const {
  return rows >= kPromptRows ? phase_threads_.prompt : phase_threads_.generate;
}

bool Runner::pack_some() {
  if (late_.done()) return false;
  late_.pack(kBytesAStep, *threads_);
  return true;
}

void Runner::pack_rest() { late_.pack(std::numeric_limits<std::int64_t>::max(), *threads_); }

}  // namespace deepwell
