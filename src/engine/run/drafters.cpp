// SPDX-License-Identifier: Apache-2.0
#include "engine/run/drafters.h"

#include <fmt/format.h>

#include "engine/models/loader.h"
#include "engine/run/model_drafter.h"
#include "engine/run/mtp_drafter.h"
#include "engine/run/repeat_drafter.h"
#include "engine/run/sequence.h"

namespace deepwell {
namespace {

struct NgramState final : DraftState {
  RepeatDrafter repeats;
};

class NgramDrafter final : public Drafter {
 public:
  int draft(std::span<const DraftWish> wishes) override {
    for (const auto& [sequence, most] : wishes) {
      if (sequence->draft == nullptr) sequence->draft = std::make_unique<NgramState>();
      static_cast<NgramState&>(*sequence->draft).repeats.guess(sequence->tokens, most, sequence->guess);
    }
    return 0;  // of no cost
  }
};

}  // namespace

Result<DraftSource> choose_drafter(const EngineOptions& wanted, const ModelFile& file) {
  const bool model = wanted.draft_model != nullptr, layer = has_drafting_layer(file);
  if (wanted.draft_tokens <= 0 || wanted.draft == DraftSource::kOff) return DraftSource::kOff;
  if (wanted.draft == DraftSource::kMtp && !layer)
    return Error{ErrorCode::kInvalid,
                 fmt::format("{} has no layer that drafts (MTP); take --draft ngram, or a --draft-model",
                             file.path())};
  if (wanted.draft == DraftSource::kModel && !model)
    return Error{ErrorCode::kInvalid, "--draft model wants a --draft-model that drafts"};
  if (wanted.draft != DraftSource::kAuto) return wanted.draft;
  return model ? DraftSource::kModel : layer ? DraftSource::kMtp : DraftSource::kNgram;
}

Result<std::unique_ptr<Drafter>> make_drafter(DraftSource source, const EngineOptions& options,
                                              Runner& runner, std::int64_t cache_tokens) {
  if (source == DraftSource::kNgram) return std::unique_ptr<Drafter>(std::make_unique<NgramDrafter>());
  if (source == DraftSource::kMtp) return std::unique_ptr<Drafter>(std::make_unique<MtpDrafter>(runner));
  if (source != DraftSource::kModel) return std::unique_ptr<Drafter>();
  RunnerOptions own;
  own.threads = options.threads;
  own.threads_batch = options.threads_batch;
  own.pin = options.pin;
  own.cache_type = options.cache_type;
  own.cache_tokens = cache_tokens;
  DW_TRY(std::unique_ptr<Runner> small, Runner::load(options.draft_model, own));
  return std::unique_ptr<Drafter>(
      std::make_unique<ModelDrafter>(std::move(small), runner.model().shape().vocabulary));
}

}  // namespace deepwell
