// SPDX-License-Identifier: Apache-2.0
#include "base/direct_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <liburing.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/human.h"

namespace deepwell {
namespace {

constexpr unsigned kDepth = 64;
// Disks reach their rate with many requests of this size.
constexpr std::int64_t kPieceBytes = 256 * 1024;

/// Some file systems take O_DIRECT and then refuse to read: tries it.
bool reads_directly(int descriptor) {
  void* page = nullptr;
  if (::posix_memalign(&page, DirectReader::kAlign, DirectReader::kAlign) != 0) return false;
  const auto got = ::pread(descriptor, page, DirectReader::kAlign, 0);
  std::free(page);
  return got >= 0;
}

int open_file(const char* path) {
  const int direct = ::open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
  if (direct >= 0 && reads_directly(direct)) return direct;
  if (direct >= 0) ::close(direct);
  return ::open(path, O_RDONLY | O_CLOEXEC);
}

}  // namespace

struct DirectReader::Ring {
  io_uring ring{};
  bool made = false;
  ~Ring() {
    if (made) ::io_uring_queue_exit(&ring);
  }
};

Result<std::unique_ptr<DirectReader>> DirectReader::open(std::vector<std::string> paths, bool ring) {
  std::unique_ptr<DirectReader> reader(new DirectReader);
  reader->paths_ = std::move(paths);
  for (const std::string& path : reader->paths_) {
    const int descriptor = open_file(path.c_str());
    if (descriptor < 0)
      return Error{ErrorCode::kIo,
                   fmt::format("{}: cannot open it: {}", printable(path), std::strerror(errno))};
    reader->descriptors_.push_back(descriptor);
  }
  if (!ring) return reader;
  auto made = std::make_unique<Ring>();
  made->made = ::io_uring_queue_init(kDepth, &made->ring, 0) == 0;  // containers often forbid it
  if (!made->made) return reader;
  reader->ring_ = std::move(made);
  reader->flying_.resize(kDepth);
  for (unsigned i = 0; i < kDepth; ++i) reader->free_.push_back(i);
  return reader;
}

DirectReader::~DirectReader() {
  waiting_.clear();
  while (ring_ != nullptr && free_.size() < kDepth) reap(true);  // they write into memory of the caller
  ring_.reset();
  for (const int descriptor : descriptors_) ::close(descriptor);
}

void DirectReader::start(Read& read) {
  DW_CHECK(read.bytes > 0 && reinterpret_cast<std::uintptr_t>(read.buffer) % kAlign == 0);
  read.failure.clear();
  read.pieces = 0;
  const std::int64_t first = read.offset / kAlign * kAlign, end = read.offset + read.bytes;
  for (std::int64_t at = first; at < end; at += kPieceBytes) {
    const std::int64_t needed = std::min(end - at, kPieceBytes);
    const std::int64_t length = (needed + kAlign - 1) / kAlign * kAlign;
    waiting_.push_back({&read, at, length, needed, read.buffer + (at - first)});
    ++read.pieces;
  }
  if (ring_ != nullptr) submit();
}

Status DirectReader::wait(Read& read) {
  while (read.pieces > 0) {
    if (ring_ != nullptr) {
      submit();
      reap(true);
    } else {
      const Piece piece = waiting_.front();
      waiting_.pop_front();
      read_now(piece);
    }
  }
  if (read.failure.empty()) return Done{};
  return Error{ErrorCode::kIo,
               fmt::format("{}: {}", printable(paths_[static_cast<std::size_t>(read.file)]), read.failure)};
}

void DirectReader::submit() {
  bool any = false;
  while (!waiting_.empty() && !free_.empty()) {
    io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_->ring);
    if (entry == nullptr) break;
    const Piece piece = waiting_.front();
    waiting_.pop_front();
    const unsigned place = free_.back();
    free_.pop_back();
    flying_[place] = piece;
    ::io_uring_prep_read(entry, descriptors_[static_cast<std::size_t>(piece.read->file)], piece.to,
                         static_cast<unsigned>(piece.length), static_cast<std::uint64_t>(piece.offset));
    ::io_uring_sqe_set_data64(entry, place);
    any = true;
  }
  if (any) ::io_uring_submit(&ring_->ring);
}

void DirectReader::reap(bool wait_for_one) {
  io_uring_cqe* done = nullptr;
  int error =
      wait_for_one ? ::io_uring_wait_cqe(&ring_->ring, &done) : ::io_uring_peek_cqe(&ring_->ring, &done);
  while (error == 0) {
    const auto place = static_cast<unsigned>(::io_uring_cqe_get_data64(done));
    const std::int64_t result = done->res;
    ::io_uring_cqe_seen(&ring_->ring, done);
    free_.push_back(place);
    finish(flying_[place], result);
    error = ::io_uring_peek_cqe(&ring_->ring, &done);
  }
}

/// What came of a piece: `result` bytes, or minus an error number. Reads on where that was not enough.
void DirectReader::finish(Piece piece, std::int64_t result) {
  Read& read = *piece.read;
  if (result == -EINTR || result == -EAGAIN)
    result = 0;
  else if (result < 0)
    read.failure = fmt::format("cannot read it at byte {}: {}; check the disk and the file", piece.offset,
                               std::strerror(static_cast<int>(-result)));
  else if (result < piece.needed && result % kAlign != 0)
    read.failure = fmt::format(
        "it ends at byte {}, earlier than when it was opened; never write into a model "
        "file that is in use",
        piece.offset + result);
  else if (result == 0)
    read.failure = fmt::format(
        "it ends before byte {}, earlier than when it was opened; never write into a "
        "model file that is in use",
        piece.offset + 1);
  if (!read.failure.empty() || result >= piece.needed) {
    --read.pieces;
    return;
  }
  waiting_.push_front(
      {&read, piece.offset + result, piece.length - result, piece.needed - result, piece.to + result});
}

void DirectReader::read_now(const Piece& piece) {
  const auto got = ::pread(descriptors_[static_cast<std::size_t>(piece.read->file)], piece.to,
                           static_cast<std::size_t>(piece.length), piece.offset);
  finish(piece, got < 0 ? -errno : got);
}

}  // namespace deepwell
