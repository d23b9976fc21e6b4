// SPDX-License-Identifier: Apache-2.0
#include "engine/run/fingerprint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "engine/kv/prefix_disk.h"

namespace deepwell {
namespace {
constexpr std::size_t kSamples = 16, kSampleBytes = 512;  // of each tensor, evenly spread
}  // namespace

std::string fingerprint_of(const ModelFile& file) {
  PrefixDisk::Digest digest{};
  const auto add = [&](std::string_view bytes) { digest = PrefixDisk::after(digest, bytes); };
  for (const auto& [name, value] : file.metadata().values) {
    add(name);
    std::visit([&](const auto& held) { add(fmt::format("{}", held)); }, value);
  }
  for (const FileTensor& tensor : file.tensors()) {
    add(fmt::format("{} {} {}", tensor.name, static_cast<int>(tensor.type), tensor.shape));
    const std::size_t size = tensor.bytes.size();
    for (std::size_t i = 0; i < kSamples && size > 0; ++i) {
      const std::size_t first = (size - std::min(size, kSampleBytes)) / (kSamples - 1) * i;
      const auto sample = tensor.bytes.subspan(first, std::min(kSampleBytes, size - first));
      add({reinterpret_cast<const char*>(sample.data()), sample.size()});
    }
  }
  return fmt::format("{:02x}", fmt::join(digest, ""));
}

}  // namespace deepwell
