// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "base/thread_pool.h"
#include "engine/formats/model_file.h"
#include "engine/nn/expert_store.h"
#include "engine/nn/late_packing.h"
#include "engine/nn/layers.h"

namespace deepwell {

/// Layers at the end of block_count that only draft (multi-token prediction): files have them or not, and may
/// count them all the same.
std::int64_t drafting_layers(const ModelFile& file);
/// Whether the first of them is there, in a file of an architecture that knows it.
bool has_drafting_layer(const ModelFile& file);

/// What a model is loaded with. `late` takes what may be packed after loading; nullptr: all is packed at
/// once. `store`: what experts may come from instead; then `late` does not take them.
struct LoadOptions {
  bool drafting = false;  ///< the layer that drafts is wanted, too
  LatePacking* late = nullptr;
  std::shared_ptr<ExpertStore> store{};
};

/// What a matrix that is rearranged at load is kept as. Rounding a quantized file's weights to bfloat16 loses
/// less than their blocks have lost already; floats stay floats.
constexpr TypeId rearranged_type(TypeId source) {
  return source == TypeId::kF32 || source == TypeId::kF16 ? TypeId::kF32 : TypeId::kBF16;
}

/// Takes a model's parts out of a file, checking each shape, and counts progress.
///
/// Tensors are asked for as (rows, k), the mathematical shape of the matrix; errors name the tensor, the
/// shape it has and the one it should have.
class Loader {
 public:
  using Progress = std::function<void(double fraction)>;
  Loader(const ModelFile& file, ThreadPool& pool, Progress progress, LoadOptions options = {});

  const ModelFile& file() const { return file_; }
  bool drafting() const { return drafting_; }  ///< it is wanted, and there
  const std::shared_ptr<ExpertStore>& store() const { return store_; }
  /// "general.architecture" + "." + key.
  std::string key(std::string_view name) const;
  /// A required positive integer of at most `highest`.
  Result<std::int64_t> integer(std::string_view name, std::int64_t highest) const;
  std::int64_t integer_or(std::string_view name, std::int64_t otherwise) const;
  double number_or(std::string_view name, double otherwise) const;
  /// A number of lowest..highest, or `otherwise` where the file has none.
  Result<double> number(std::string_view name, double lowest, double highest, double otherwise) const;

  bool has(std::string_view tensor) const { return file_.find(tensor) != nullptr; }
  /// tensor + ".weight", with tensor + ".bias" where the file has one.
  Result<Linear> linear(const std::string& tensor, std::int64_t rows, std::int64_t k);
  Result<std::vector<float>> vector(const std::string& tensor, std::int64_t n);
  Result<RmsNormLayer> rms_norm(const std::string& tensor, std::int64_t n, float eps);
  /// All of a tensor (rows, k) as floats, for what is rearranged at load.
  Result<std::vector<float>> floats(const std::string& tensor, std::int64_t rows, std::int64_t k);
  /// All of a tensor (rows, k) of 32- or 64-bit integers, each in 0 .. below - 1.
  Result<std::vector<std::int32_t>> integers(const std::string& tensor, std::int64_t rows, std::int64_t k,
                                             std::int64_t below);
  /// What was made of `tensor`'s floats, packed as rearranged_type says.
  PackedMatrix pack_rearranged(std::vector<float> values, std::int64_t slabs, std::int64_t rows,
                               std::int64_t k, const std::string& tensor);
  Result<Embedding> embedding(const std::string& tensor, std::int64_t rows, std::int64_t width);
  /// A table of at least `rows` rows, of which few are read: it is left where it lies.
  Result<Embedding> table(const std::string& tensor, std::int64_t rows, std::int64_t width);
  /// A stack of `slabs` matrices (rows, k): heads, in three dimensions or one below the other in two. tensor
  /// is the full name.
  Result<PackedMatrix> stack(const std::string& tensor, std::int64_t slabs, std::int64_t rows,
                             std::int64_t k);
  /// The same of experts: they may be packed later.
  Result<PackedProduct> experts(const std::string& tensor, std::int64_t slabs, std::int64_t rows,
                                std::int64_t k);
  /// Like linear, of a tensor that stays in use as an embedding.
  Result<Linear> tied(const std::string& tensor, std::int64_t rows, std::int64_t k);

 private:
  Result<const FileTensor*> find(const std::string& tensor, std::int64_t rows, std::int64_t k) const;
  /// What the weights of each slab must be multiplied by: NVFP4 files keep a factor of a matrix, or of each
  /// expert, beside it. Empty where there is none.
  Result<std::vector<float>> factors(const std::string& tensor, std::int64_t slabs);
  void count_progress(const FileTensor& tensor);
  void release(const FileTensor& tensor) const;
  Result<const FileTensor*> find_stack(const std::string& tensor, std::int64_t slabs, std::int64_t rows,
                                       std::int64_t k) const;
  /// Now or later; `read_again`: by others, so the file's bytes stay in memory.
  Result<PackedProduct> product(const FileTensor& tensor, const WeightFormat& format, std::int64_t slabs,
                                bool read_again);
  Result<const WeightFormat*> format_of(const FileTensor& tensor) const;
  Result<Linear> linear(const std::string& tensor, std::int64_t rows, std::int64_t k, bool read_again);
  const ModelFile& file_;
  ThreadPool& pool_;
  Progress progress_;
  const bool drafting_;
  LatePacking* late_;
  std::shared_ptr<ExpertStore> store_;
  double bytes_done_ = 0, bytes_total_ = 1;
};

}  // namespace deepwell
