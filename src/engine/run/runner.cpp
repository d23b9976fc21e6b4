// SPDX-License-Identifier: Apache-2.0
#include "engine/run/runner.h"

#include "base/cpu.h"
#include "engine/models/loader.h"

namespace deepwell {

Result<std::unique_ptr<Runner>> Runner::load(std::shared_ptr<const ModelFile> file,
                                             const RunnerOptions& options, const Progress& progress) {
  DW_TRY(const Architecture architecture, find_architecture(file->architecture()));
  std::unique_ptr<Runner> runner(new Runner);
  runner->file_ = std::move(file);
  runner->exact_ = options.exact;
  runner->threads_ = std::make_unique<ThreadPool>(options.threads > 0 ? options.threads : physical_cores());
  Loader loader(*runner->file_, *runner->threads_, progress);
  DW_TRY(runner->model_, architecture.load(loader));
  if (progress) progress(1);  // not every tensor of a file is packed, or even used
  CacheLayout layout = runner->model_->cache_layout(options.cache_type);
  const std::int64_t pages = (options.cache_tokens + layout.page_tokens - 1) / layout.page_tokens;
  DW_TRY(runner->cache_, PagePool::make(std::move(layout), std::max<std::int64_t>(1, pages)));
  return runner;
}

void Runner::forward(const Batch& batch, float* logits) {
  Context context{*threads_, scratch_, exact_};
  model_->forward(batch, logits, context);
}

}  // namespace deepwell
