// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/formats/model_file.h"

/// Tensors made of others, without copying them: each row is found or made when it is asked for.
namespace deepwell::made {

/// `rows` rows of `base`: row r is base row `from(r)`.
FileTensor rows_of(const FileTensor& base, std::int64_t rows, std::function<std::int64_t(std::int64_t)> from);
/// Tensors of the same type and shape on top of each other: experts. Requires at least one.
FileTensor stack(std::vector<FileTensor> parts);
/// Two of the same type and number of rows, row by row the one behind the other. Requires whole blocks.
FileTensor beside(const FileTensor& left, const FileTensor& right);
/// `slabs` matrices (rows, k) on top of each other: row r of slab s is column r of the k rows of `base` from
/// s * stride + first on. Types of blocks become F32, others stay what they are.
FileTensor transpose(const FileTensor& base, std::int64_t slabs, std::int64_t stride, std::int64_t first,
                     std::int64_t rows, std::int64_t k);
/// A vector of our own.
FileTensor floats(const std::vector<float>& values);
/// A vector whose element i is element from(i) of `vector`, copied.
FileTensor elements_of(const FileTensor& vector, const std::function<std::int64_t(std::int64_t)>& from);

/// I64 as I32, which GGUF files have; other types are left as they are.
FileTensor narrow(const FileTensor& base);

/// Sets name and GGUF shape: {k, rows} or {k, rows / slabs, slabs}.
FileTensor named(FileTensor tensor, std::string name, std::int64_t slabs = 1);

}  // namespace deepwell::made
