// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/nn/batch.h"
#include "engine/nn/context.h"

namespace deepwell {

class Loader;

/// What every architecture can say of itself.
struct ModelShape {
  std::int64_t layers = 0, width = 0, vocabulary = 0, context = 0;  ///< context: tokens it was trained for
};

/// A model's weights and the straight line of operators over them. Const after loading: what a sequence
/// remembers is in its cache.
class Model {
 public:
  virtual ~Model() = default;
  virtual const ModelShape& shape() const = 0;
  virtual CacheLayout cache_layout(CacheType type) const = 0;
  /// logits (output rows, vocabulary). Requires tokens and positions in range and caches grown to hold them.
  /// Pauses between layers: see Context::pause().
  virtual void forward(const Batch& batch, float* logits, Context& context) const = 0;

  /// Prediction of a further token, where the file has a layer for it and the loader was asked for it: from
  /// what the model thought of a token, its state of so many floats, and the next token. 0: it cannot.
  virtual std::int64_t state_width() const { return 0; }
  /// A row of `batch` is a token with the position and the state of the one before it, states (rows,
  /// state_width()); logits (output rows, vocabulary) are of the token after it, next (output rows,
  /// state_width()) are the states to go on with. The layer has its own place in the sequences' caches.
  virtual void draft(const Batch& /*batch*/, const float* /*states*/, float* /*next*/, float* /*logits*/,
                     Context& /*context*/) const {}
};

/// A file of this folder: the value of "general.architecture" it answers to, and how it is loaded.
struct Architecture {
  std::string_view name;
  Result<std::unique_ptr<Model>> (*load)(Loader& loader);
  /// The cache of such a model from its metadata alone, for sizing without loading.
  Result<CacheLayout> (*layout)(const Loader& loader, CacheType type);
  bool drafts = false;  ///< it knows a layer that drafts
};
const std::vector<Architecture>& all_architectures();
/// kUnsupported names the architecture and those there are.
Result<Architecture> find_architecture(std::string_view name);

}  // namespace deepwell
