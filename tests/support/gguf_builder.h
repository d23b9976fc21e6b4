// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "engine/tensor/type.h"
#include "support/byte_writer.h"

namespace deepwell::testing_support {

/// Makes small GGUF files, to be read by what is tested:
///
///   GgufBuilder model;
///   model.set("general.architecture", "llama").set("llama.block_count", 2);
///   model.set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"});
///   model.tensor("output_norm.weight", {64}, std::vector<float>(64, 1.0F));
///   model.random_tensor("token_embd.weight", {64, 256}, 0.02F, /*seed=*/1);
///   model.tensor("output.weight", {64, 256}, TypeId::kQ8_0, quantized_bytes);
///   model.write(temp / "tiny.gguf");        // or build() for the bytes, write_split(prefix, 3) for a set
///
/// Shapes are in GGUF order: the row length first. Nothing is checked but sizes: wrong models are welcome.
class GgufBuilder {
 public:
  using Shape = std::vector<std::int64_t>;

  std::uint32_t version = 3;
  std::uint32_t alignment = 32;  ///< other than 32 is also written as general.alignment

  GgufBuilder& set(std::string_view key, bool value) { return scalar<std::uint8_t>(key, 7, value ? 1 : 0); }
  GgufBuilder& set(std::string_view key, std::uint8_t value) { return scalar(key, 0, value); }
  GgufBuilder& set(std::string_view key, std::int8_t value) { return scalar(key, 1, value); }
  GgufBuilder& set(std::string_view key, std::uint16_t value) { return scalar(key, 2, value); }
  GgufBuilder& set(std::string_view key, std::int16_t value) { return scalar(key, 3, value); }
  GgufBuilder& set(std::string_view key, std::uint32_t value) { return scalar(key, 4, value); }
  GgufBuilder& set(std::string_view key, std::int32_t value) { return scalar(key, 5, value); }
  GgufBuilder& set(std::string_view key, float value) { return scalar(key, 6, value); }
  GgufBuilder& set(std::string_view key, std::uint64_t value) { return scalar(key, 10, value); }
  GgufBuilder& set(std::string_view key, std::int64_t value) { return scalar(key, 11, value); }
  GgufBuilder& set(std::string_view key, double value) { return scalar(key, 12, value); }
  GgufBuilder& set(std::string_view key, const char* value) { return set(key, std::string_view(value)); }
  GgufBuilder& set(std::string_view key, const std::string& value) {
    return set(key, std::string_view(value));
  }
  GgufBuilder& set(std::string_view key, std::string_view value) {
    return set_raw(key, 8, ByteWriter().text(value).bytes());
  }
  GgufBuilder& set(std::string_view key, const std::vector<std::string>& values) {
    ByteWriter out;
    out.put(std::uint32_t{8}).put(static_cast<std::uint64_t>(values.size()));
    for (const std::string& value : values) out.text(value);
    return set_raw(key, 9, out.bytes());
  }
  GgufBuilder& set(std::string_view key, const std::vector<bool>& values) {
    ByteWriter out;
    out.put(std::uint32_t{7}).put(static_cast<std::uint64_t>(values.size()));
    for (const bool value : values) out.put(static_cast<std::uint8_t>(value ? 1 : 0));
    return set_raw(key, 9, out.bytes());
  }
  GgufBuilder& set(std::string_view key, const std::vector<std::uint8_t>& values) {
    return array(key, 0, values);
  }
  GgufBuilder& set(std::string_view key, const std::vector<std::int8_t>& values) {
    return array(key, 1, values);
  }
  GgufBuilder& set(std::string_view key, const std::vector<std::uint16_t>& values) {
    return array(key, 2, values);
  }
  GgufBuilder& set(std::string_view key, const std::vector<std::int16_t>& values) {
    return array(key, 3, values);
  }
  GgufBuilder& set(std::string_view key, const std::vector<std::uint32_t>& values) {
    return array(key, 4, values);
  }
  GgufBuilder& set(std::string_view key, const std::vector<std::int32_t>& values) {
    return array(key, 5, values);
  }
  GgufBuilder& set(std::string_view key, const std::vector<float>& values) { return array(key, 6, values); }
  GgufBuilder& set(std::string_view key, const std::vector<std::uint64_t>& values) {
    return array(key, 10, values);
  }
  GgufBuilder& set(std::string_view key, const std::vector<std::int64_t>& values) {
    return array(key, 11, values);
  }
  GgufBuilder& set(std::string_view key, const std::vector<double>& values) { return array(key, 12, values); }
  /// A value as its bytes, for types that do not exist and lengths that lie. A key set before is replaced.
  GgufBuilder& set_raw(std::string_view key, std::uint32_t type, std::string value) {
    const auto same = [&](const Key& k) { return k.name == key; };
    const auto found = std::find_if(keys_.begin(), keys_.end(), same);
    Key made{std::string(key), type, std::move(value)};
    if (found == keys_.end())
      keys_.push_back(std::move(made));
    else
      *found = std::move(made);
    return *this;
  }

  GgufBuilder& tensor(std::string_view name, Shape shape, const std::vector<float>& values) {
    const std::string_view bytes(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    return tensor(name, std::move(shape), TypeId::kF32, std::string(bytes));
  }
  GgufBuilder& tensor(std::string_view name, Shape shape, TypeId type, std::string bytes) {
    const TypeInfo& info = type_info(type);
    DW_CHECK(static_cast<std::int64_t>(bytes.size()) ==
             elements(shape) / info.block_elements * info.block_bytes);
    tensors_.push_back({std::string(name), std::move(shape), type, std::move(bytes)});
    return *this;
  }
  /// F32, normally distributed around 0.
  GgufBuilder& random_tensor(std::string_view name, Shape shape, float deviation, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal(0.0F, deviation);
    std::vector<float> values(static_cast<std::size_t>(elements(shape)));
    for (float& value : values) value = normal(random);
    return tensor(name, std::move(shape), values);
  }

  std::string build() const { return build(keys_, tensors_); }
  void write(const std::filesystem::path& path) const { write(path, build()); }

  /// PREFIX-00001-of-0000N.gguf and so on, tensors in turn, metadata in the first. Returns the paths.
  std::vector<std::string> write_split(const std::string& prefix, int parts) const {
    std::vector<std::string> paths;
    const std::size_t per_part =
        (tensors_.size() + static_cast<std::size_t>(parts) - 1) / static_cast<std::size_t>(parts);
    for (int i = 0; i < parts; ++i) {
      GgufBuilder part;
      part.version = version;
      part.alignment = alignment;
      if (i == 0) part.keys_ = keys_;
      part.set("split.no", static_cast<std::uint16_t>(i));
      part.set("split.count", static_cast<std::uint16_t>(parts));
      part.set("split.tensors.count", static_cast<std::int32_t>(tensors_.size()));
      const std::size_t begin = std::min(tensors_.size(), static_cast<std::size_t>(i) * per_part);
      const std::size_t end = std::min(tensors_.size(), begin + per_part);
      for (std::size_t t = begin; t < end; ++t) part.tensors_.push_back(tensors_[t]);
      paths.push_back(split_name(prefix, i, parts));
      part.write(paths.back());
    }
    return paths;
  }
  static std::string split_name(const std::string& prefix, int number, int count) {
    char end[32];
    std::snprintf(end, sizeof end, "-%05d-of-%05d.gguf", number + 1, count);
    return prefix + end;
  }

 private:
  struct Key {
    std::string name;
    std::uint32_t type;
    std::string value;
  };
  struct Tensor {
    std::string name;
    Shape shape;
    TypeId type;
    std::string bytes;
  };

  static std::int64_t elements(const Shape& shape) {
    std::int64_t count = 1;
    for (const std::int64_t length : shape) count *= length;
    return count;
  }
  template <class T>
  GgufBuilder& scalar(std::string_view key, std::uint32_t type, T value) {
    return set_raw(key, type, ByteWriter().put(value).bytes());
  }
  template <class T>
  GgufBuilder& array(std::string_view key, std::uint32_t type, const std::vector<T>& values) {
    ByteWriter out;
    out.put(type).put(static_cast<std::uint64_t>(values.size()));
    for (const T value : values) out.put(value);
    return set_raw(key, 9, out.bytes());
  }
  static void write(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream out(path, std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.close();
    DW_CHECK(out.good());
  }

  std::string build(std::vector<Key> keys, const std::vector<Tensor>& tensors) const {
    if (alignment != 32) keys.push_back({"general.alignment", 4, ByteWriter().put(alignment).bytes()});
    ByteWriter out;
    out.raw("GGUF").put(version).put(static_cast<std::uint64_t>(tensors.size()));
    out.put(static_cast<std::uint64_t>(keys.size()));
    for (const Key& key : keys) out.text(key.name).put(key.type).raw(key.value);
    std::uint64_t offset = 0;
    for (const Tensor& tensor : tensors) {
      out.text(tensor.name).put(static_cast<std::uint32_t>(tensor.shape.size()));
      for (const std::int64_t length : tensor.shape) out.put(length);
      out.put(static_cast<std::uint32_t>(tensor.type)).put(offset);
      offset += (tensor.bytes.size() + alignment - 1) / alignment * alignment;
    }
    out.pad_to(alignment);
    for (const Tensor& tensor : tensors) out.raw(tensor.bytes).pad_to(alignment);
    return out.bytes();
  }

  std::vector<Key> keys_;
  std::vector<Tensor> tensors_;
};

}  // namespace deepwell::testing_support
