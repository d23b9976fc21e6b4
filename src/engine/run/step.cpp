// SPDX-License-Identifier: Apache-2.0
#include "engine/run/step.h"

#include <algorithm>
#include <new>

namespace deepwell {

void Step::clear() {
  parts_.clear();
  drawn_.clear();
  prompt_tokens_ = 0;
  tokens_.clear();
  positions_.clear();
  output_rows_.clear();
  batch_.clear();
}

void Step::add(Sequence& sequence, std::int64_t count) {
  const auto first = static_cast<std::int64_t>(tokens_.size());
  for (std::int64_t i = sequence.done; i < sequence.done + count; ++i) {
    tokens_.push_back(sequence.tokens[static_cast<std::size_t>(i)]);
    positions_.push_back(static_cast<std::int32_t>(i));
  }
  if (count == sequence.left()) {
    output_rows_.push_back(static_cast<std::int32_t>(first + count - 1));
    drawn_.push_back(&sequence);
  }
  const std::int64_t of_prompt = std::clamp<std::int64_t>(sequence.prompt_tokens - sequence.done, 0, count);
  prompt_tokens_ += of_prompt;
  batch_.push_back({first, count, &*sequence.cache, sequence.reading()});
  parts_.push_back({&sequence, count, of_prompt});
}

Status Step::run() {
  try {
    const auto vocabulary = static_cast<std::size_t>(runner_.model().shape().vocabulary);
    logits_.resize(output_rows_.size() * vocabulary);
    DW_RETURN_IF_ERROR(runner_.forward({tokens_, positions_, batch_, output_rows_}, logits_.data()));
    runner_.threads().run(static_cast<std::int64_t>(drawn_.size()), [&](std::int64_t i, int) {
      const std::span<float> row(logits_.data() + static_cast<std::size_t>(i) * vocabulary, vocabulary);
      Sequence& sequence = *drawn_[static_cast<std::size_t>(i)];
      if (sequence.request.constraint == nullptr) {
        sequence.output = sequence.sampler.sample(row);
      } else if (Result<TokenOutput> drawn = sequence.sampler.sample(row, *sequence.request.constraint);
                 drawn) {
        sequence.output = std::move(*drawn);
      } else {
        sequence.failure = "the answer cannot keep to its format: " + drawn.error().message;
      }
    });
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kIo, "the machine has no memory left for this step"};
  }
  for (const Part& part : parts_) part.sequence->done += part.count;
  return Done{};
}

}  // namespace deepwell
