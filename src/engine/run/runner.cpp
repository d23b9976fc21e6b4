// SPDX-License-Identifier: Apache-2.0
#include "engine/run/runner.h"

#include <fmt/format.h>

#include <new>

#include "base/cpu.h"
#include "base/human.h"
#include "engine/models/loader.h"

namespace deepwell {

Result<std::unique_ptr<Runner>> Runner::load(std::shared_ptr<const ModelFile> file,
                                             const RunnerOptions& options, const Progress& progress) {
  DW_TRY(const Architecture architecture, find_architecture(file->architecture()));
  std::unique_ptr<Runner> runner(new Runner);
  runner->file_ = std::move(file);
  runner->exact_ = options.exact;
  runner->threads_ = std::make_unique<ThreadPool>(options.threads > 0 ? options.threads : physical_cores());
  Loader loader(*runner->file_, *runner->threads_, progress, options.drafting);
  try {
    DW_TRY(runner->model_, architecture.load(loader));
  } catch (const std::bad_alloc&) {  // see forward()
    return Error{
        ErrorCode::kIo,
        fmt::format("{}: there is no memory for the weights of {}; free some, or take a smaller model",
                    runner->file_->path(), human_bytes(runner->file_->file_bytes()))};
  }
  if (progress) progress(1);  // not every tensor of a file is packed, or even used
  CacheLayout layout = runner->model_->cache_layout(options.cache_type);
  const std::int64_t pages = (options.cache_tokens + layout.page_tokens - 1) / layout.page_tokens;
  DW_TRY(runner->cache_, PagePool::make(std::move(layout), std::max<std::int64_t>(1, pages)));
  return runner;
}

// Operators take memory in a hundred places, so here std::bad_alloc may cross layers, up to this border.
template <class Compute>
Status Runner::compute(const Batch& batch, Compute&& on) {
  const ScratchScope scope(scratch_);
  try {
    Context context{*threads_, scratch_, exact_};
    on(context);
  } catch (const std::bad_alloc&) {
    return Error{
        ErrorCode::kIo,
        fmt::format("there is no memory to compute {} tokens at once (beside {} of work memory taken); "
                    "free some, or use a smaller --context or --parallel",
                    batch.rows(), human_bytes(static_cast<std::int64_t>(scratch_.bytes())))};
  }
  return Done{};
}

Status Runner::forward(const Batch& batch, float* logits) {
  return compute(batch, [&](Context& context) { model_->forward(batch, logits, context); });
}

Status Runner::draft(const Batch& batch, const float* states, float* next, float* logits) {
  return compute(batch, [&](Context& context) { model_->draft(batch, states, next, logits, context); });
}

}  // namespace deepwell
