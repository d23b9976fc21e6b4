// SPDX-License-Identifier: Apache-2.0
#include "engine/run/swap_space.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <new>

namespace deepwell {
namespace {

bool write_all(int file, std::span<const std::byte> bytes, std::int64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file, bytes.data(), bytes.size(), offset);
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += written;
  }
  return true;
}

bool read_all(int file, std::span<std::byte> bytes, std::int64_t offset) {
  while (!bytes.empty()) {
    const ssize_t read = ::pread(file, bytes.data(), bytes.size(), offset);
    if (read <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(read));
    offset += read;
  }
  return true;
}

}  // namespace

SwapSpace::~SwapSpace() {
  if (file_ >= 0) ::close(file_);
}

bool SwapSpace::open_file() {
  if (file_ >= 0) return true;
  if (file_failed_) return false;
  std::error_code ignored;
  const std::string folder =
      folder_.empty() ? std::filesystem::temp_directory_path(ignored).string() : folder_;
  file_ = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file_ < 0) {  // not every file system has nameless files
    std::string name = folder + "/deepwell-swap-XXXXXX";
    file_ = ::mkostemp(name.data(), O_CLOEXEC);
    if (file_ >= 0) ::unlink(name.c_str());
  }
  file_failed_ = file_ < 0;
  return file_ >= 0;
}

bool SwapSpace::write_page(std::span<const std::byte> bytes, SwappedCache::Page& page) {
  if (memory_bytes_ + static_cast<std::int64_t>(bytes.size()) <= memory_bytes_max_) {
    page.memory.reset(new (std::nothrow) std::byte[bytes.size()]);
    if (page.memory != nullptr) {
      std::memcpy(page.memory.get(), bytes.data(), bytes.size());
      memory_bytes_ += static_cast<std::int64_t>(bytes.size());
      return true;
    }
  }
  if (!open_file()) return false;
  std::int64_t slot = slots_;
  if (!free_slots_.empty()) {
    slot = free_slots_.back();
    free_slots_.pop_back();
  } else {
    ++slots_;
  }
  if (!write_all(file_, bytes, slot * page_bytes_)) {  // a full disk, most likely
    free_slots_.push_back(slot);
    return false;
  }
  page.file_slot = slot;
  file_bytes_ += static_cast<std::int64_t>(bytes.size());
  return true;
}

bool SwapSpace::store(const SequenceCache& cache, SwappedCache& out) {
  const PagePool& pool = cache.pool();
  page_bytes_ = pool.layout().bytes_per_page();
  for (const std::int32_t page : cache.pages()) {
    SwappedCache::Page copy;
    if (!write_page(pool.bytes(page), copy)) {
      drop(out);
      return false;
    }
    out.pages.push_back(std::move(copy));
  }
  out.rolling.assign(cache.rolling().begin(), cache.rolling().end());
  return true;
}

bool SwapSpace::load(SwappedCache& from, SequenceCache& cache) {
  bool whole = true;
  for (std::size_t i = 0; i < from.pages.size(); ++i) {
    const std::span<std::byte> to = cache.pool().bytes(cache.pages()[i]);
    const SwappedCache::Page& page = from.pages[i];
    if (page.memory != nullptr)
      std::memcpy(to.data(), page.memory.get(), to.size());
    else
      whole = read_all(file_, to, page.file_slot * page_bytes_) && whole;
  }
  if (!from.rolling.empty()) std::memcpy(cache.rolling().data(), from.rolling.data(), from.rolling.size());
  drop(from);
  return whole;
}

void SwapSpace::drop(SwappedCache& swapped) {
  for (const SwappedCache::Page& page : swapped.pages) {
    (page.memory != nullptr ? memory_bytes_ : file_bytes_) -= page_bytes_;
    if (page.file_slot >= 0) free_slots_.push_back(page.file_slot);
  }
  swapped.pages.clear();
  swapped.rolling.clear();
}

}  // namespace deepwell
