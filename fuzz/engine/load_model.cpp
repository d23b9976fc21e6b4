// SPDX-License-Identifier: Apache-2.0
// Any bytes as a model: an error in one line, or a model that a forward pass runs through, and one of its
// layer that drafts, where it has one.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/formats/gguf_part.h"
#include "engine/formats/listed_model_file.h"
#include "engine/run/runner.h"

namespace deepwell {
namespace {

/// A model file that is only in memory.
class BytesModel final : public ListedModelFile {
 public:
  BytesModel(GgufPart part, std::size_t bytes) : ListedModelFile("fuzz.gguf") {
    metadata_ = std::move(part.metadata);
    for (FileTensor& tensor : part.tensors) add(std::move(tensor));
    file_bytes_ = static_cast<std::int64_t>(bytes);
  }
};

void load_and_run(std::span<const std::byte> bytes) {
  auto part = parse_gguf_part(bytes, "fuzz.gguf");
  if (!part.ok()) return;
  RunnerOptions options;
  options.threads = 1;
  options.cache_tokens = 64;
  options.exact = bytes.size() % 2 == 0;
  options.drafting = true;
  const auto file = std::make_shared<const BytesModel>(std::move(part).value(), bytes.size());
  auto runner = Runner::load(file, options);
  if (!runner.ok()) {
    DW_CHECK(!runner.error().message.empty() && runner.error().message.find('\n') == std::string::npos);
    return;
  }
  const std::int64_t vocabulary = (*runner)->model().shape().vocabulary;
  const std::vector<std::int32_t> tokens = {0, static_cast<std::int32_t>(vocabulary - 1), 0},
                                  positions = {0, 1, 2}, outputs = {0, 2};
  SequenceCache cache((*runner)->cache());
  cache.grow(3);
  const BatchSequence sequence{0, 3, &cache};
  std::vector<float> logits(static_cast<std::size_t>(2 * vocabulary));
  const auto width = static_cast<std::size_t>((*runner)->model().state_width());
  std::vector<float> states(3 * width), next(2 * width);
  const Batch batch{.tokens = tokens,
                    .positions = positions,
                    .sequences = {&sequence, 1},
                    .output_rows = outputs,
                    .draft_states = width > 0 ? states.data() : nullptr};
  const Status computed = (*runner)->forward(batch, logits.data());
  if (!computed.ok() || width == 0) return;
  const Status drafted = (*runner)->draft(batch, states.data(), next.data(), logits.data());
  static_cast<void>(drafted);
}

}  // namespace
}  // namespace deepwell

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  deepwell::load_and_run(std::as_bytes(std::span(data, size)));
  return 0;
}
