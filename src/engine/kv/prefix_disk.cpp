// SPDX-License-Identifier: Apache-2.0
#include "engine/kv/prefix_disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>

namespace deepwell {
namespace {
namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".page", kTemporary = ".tmp-";
constexpr std::int64_t kQueuedBytesMax = 256 << 20;
constexpr double kTurnoverSeconds = 4 * 3600;  // in which the folder's whole size may be written once
constexpr double kBurst = 0.25;                // and this share of it at once

/// Before the page and the state. Numbers as this machine keeps them: the version names the instruction set.
struct Header {
  char magic[8] = {'D', 'W', 'P', 'A', 'G', 'E', '0', '1'};
  std::uint64_t page_bytes = 0, state_bytes = 0;
  PrefixDisk::Digest name{}, checksum{};  // of the page and the state
};
static_assert(sizeof(Header) == 88);

PrefixDisk::Digest digest_of(std::initializer_list<std::string_view> parts) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  PrefixDisk::Digest digest{};
  DW_CHECK(EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1);
  for (const std::string_view part : parts)
    DW_CHECK(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1);
  DW_CHECK(EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1);
  return digest;
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string hex_of(const PrefixDisk::Digest& digest) {
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

std::optional<PrefixDisk::Digest> from_hex(std::string_view hex) {
  PrefixDisk::Digest digest{};
  if (hex.size() != 2 * digest.size()) return std::nullopt;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const char* const at = hex.data() + 2 * i;
    const auto parsed = std::from_chars(at, at + 2, digest[i], 16);
    if (parsed.ec != std::errc() || parsed.ptr != at + 2) return std::nullopt;
  }
  return digest;
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

bool read_all(int file, void* to, std::size_t bytes) {
  auto* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t got = ::read(file, at, bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

std::chrono::sys_time<std::chrono::nanoseconds> time_now() { return std::chrono::system_clock::now(); }

struct File {
  int number;
  ~File() {
    if (number >= 0) ::close(number);
  }
};

/// Left by a program that died while it wrote: its number is in the name.
bool is_abandoned(std::string_view name) {
  name.remove_prefix(kTemporary.size());
  pid_t process = 0;
  std::from_chars(name.data(), name.data() + name.size(), process);
  return process <= 0 || (process != ::getpid() && ::kill(process, 0) != 0 && errno == ESRCH);
}

}  // namespace

std::size_t PrefixDisk::Hash::operator()(const Digest& digest) const {
  std::size_t hash = 0;
  std::memcpy(&hash, digest.data(), sizeof hash);
  return hash;
}

PrefixDisk::PrefixDisk(PrefixDiskOptions options)
    : options_(std::move(options)),
      root_(digest_of({options_.version, fmt::format("/{}/{}", options_.page_bytes, options_.state_bytes)})),
      budget_bytes_(kBurst * static_cast<double>(options_.bytes_max)) {}

Result<std::unique_ptr<PrefixDisk>> PrefixDisk::open(PrefixDiskOptions options) {
  std::unique_ptr<PrefixDisk> disk(new PrefixDisk(std::move(options)));
  DW_RETURN_IF_ERROR(disk->take_stock());
  disk->thread_ = std::thread([raw = disk.get()] { raw->work(); });
  return disk;
}

PrefixDisk::~PrefixDisk() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

// Names, sizes and times only: what is in the files is looked at when it is wanted.
Status PrefixDisk::take_stock() {
  std::error_code error;
  fs::create_directories(options_.folder, error);
  if (error || ::access(options_.folder.c_str(), W_OK | X_OK) != 0)
    return Error{
        ErrorCode::kIo,
        fmt::format("cannot keep prefixes in {}: {}; name a folder that can be written with --prefix-dir",
                    options_.folder, error ? error.message() : std::strerror(errno))};
  struct Found {
    fs::file_time_type time;
    Digest name;
    std::int64_t bytes;
  };
  std::vector<Found> found;
  for (fs::recursive_directory_iterator at(options_.folder, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    std::error_code ignored;
    if (name.starts_with(kTemporary)) {
      if (is_abandoned(name)) fs::remove(at->path(), ignored);
      continue;
    }
    if (!name.ends_with(kSuffix) || !at->is_regular_file(ignored)) continue;
    const auto digest = from_hex(std::string_view(name).substr(0, name.size() - kSuffix.size()));
    const std::uintmax_t bytes = at->file_size(ignored);
    if (digest && !ignored)
      found.push_back({at->last_write_time(ignored), *digest, static_cast<std::int64_t>(bytes)});
  }
  std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.time < b.time; });
  for (const Found& one : found) note_use(one.name, one.bytes);
  if (!found.empty()) last_use_ = fs::file_time_type::clock::to_sys(found.back().time);
  make_room(0);
  return Done{};
}

PrefixDisk::Digest PrefixDisk::after(const Digest& before, std::string_view key) {
  return digest_of({{reinterpret_cast<const char*>(before.data()), before.size()}, key});
}

std::string PrefixDisk::path_of(const Digest& name) const {
  const std::string hex = hex_of(name);
  return fmt::format("{}/{}/{}{}", options_.folder, hex.substr(0, 2), hex, kSuffix);
}

bool PrefixDisk::has(const Digest& name) const {
  const std::lock_guard lock(mutex_);
  return entries_.contains(name);
}

bool PrefixDisk::load(const Digest& name, std::span<std::byte> page, std::vector<std::byte>& state) {
  const std::string path = path_of(name);
  const char* wrong = nullptr;
  {
    const File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    Header header;
    const Header expected;
    if (file.number < 0) {
      wrong = errno == ENOENT ? "" : "it cannot be opened";  // another program may have removed it
    } else if (!read_all(file.number, &header, sizeof header)) {
      wrong = "it is too short";
    } else if (std::memcmp(header.magic, expected.magic, sizeof header.magic) != 0 || header.name != name ||
               header.page_bytes != page.size() ||
               header.state_bytes > static_cast<std::uint64_t>(options_.state_bytes)) {
      wrong = "its header is wrong";
    } else {
      state.resize(header.state_bytes);
      char more = 0;
      if (!read_all(file.number, page.data(), page.size()) ||
          !read_all(file.number, state.data(), state.size()))
        wrong = "it is too short";
      else if (::read(file.number, &more, 1) != 0)
        wrong = "it is too long";
      else if (digest_of({text_of(page), text_of(state)}) != header.checksum)
        wrong = "its checksum is wrong";
    }
    if (wrong == nullptr) stamp(file.number);
  }
  if (wrong == nullptr) {
    const std::lock_guard lock(mutex_);
    if (const auto at = entries_.find(name); at != entries_.end()) note_use(name, at->second.bytes);
    return true;
  }
  {
    const std::lock_guard lock(mutex_);
    forget(name);
  }
  if (*wrong != '\0') {
    ::unlink(path.c_str());
    if (options_.log) options_.log(fmt::format("prefix cache: {} was removed: {}", path, wrong));
  }
  return false;
}

bool PrefixDisk::take_budget(std::int64_t bytes) {
  const auto now = Clock::now();
  const auto size = static_cast<double>(options_.bytes_max);
  const double passed = std::chrono::duration<double>(now - std::exchange(budget_at_, now)).count();
  budget_bytes_ = std::min(kBurst * size, budget_bytes_ + passed * size / kTurnoverSeconds);
  if (budget_bytes_ < static_cast<double>(bytes)) return false;
  budget_bytes_ -= static_cast<double>(bytes);
  return true;
}

void PrefixDisk::store(const Digest& name, std::span<const std::byte> page,
                       std::span<const std::byte> state) {
  const auto bytes = static_cast<std::int64_t>(sizeof(Header) + page.size() + state.size());
  {
    const std::lock_guard lock(mutex_);
    if (entries_.contains(name) || queued_bytes_ + bytes > kQueuedBytesMax || bytes > options_.bytes_max ||
        !take_budget(bytes))
      return;
    for (const Job& job : jobs_)
      if (job.name == name) return;
    queued_bytes_ += bytes;
    jobs_.push_back({name, {page.begin(), page.end()}, {state.begin(), state.end()}});
  }
  wake_.notify_all();
}

void PrefixDisk::flush() {
  std::unique_lock lock(mutex_);
  written_.wait(lock, [&] { return jobs_.empty() && !busy_; });
}

void PrefixDisk::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stop_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    const auto bytes = static_cast<std::int64_t>(sizeof(Header) + job.page.size() + job.state.size());
    busy_ = true;
    make_room(bytes);
    lock.unlock();
    const Status written = write(job);
    if (!written && !failing_ && options_.log) options_.log("prefix cache: " + written.error().message);
    lock.lock();
    failing_ = !written.ok();
    queued_bytes_ -= bytes;
    if (written.ok()) {
      note_use(job.name, bytes);
      written_bytes_ += bytes;
    }
    busy_ = false;
    written_.notify_all();
  }
}

Status PrefixDisk::write(const Job& job) {
  static std::atomic<int> count{0};
  const std::string path = path_of(job.name);
  const fs::path folder = fs::path(path).parent_path();
  const auto failed = [&] {
    return Error{ErrorCode::kIo,
                 fmt::format("cannot write {}: {}; going on without", path, std::strerror(errno))};
  };
  std::error_code ignored;
  fs::create_directory(folder, ignored);
  const std::string aside = fmt::format("{}/{}{}-{}", folder.string(), kTemporary, ::getpid(), count++);
  {
    const File file{::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    if (file.number < 0) return failed();
    Header header;
    header.page_bytes = job.page.size();
    header.state_bytes = job.state.size();
    header.name = job.name;
    header.checksum = digest_of({text_of(job.page), text_of(job.state)});
    const std::string_view head(reinterpret_cast<const char*>(&header), sizeof header);
    if (!write_all(file.number, head) || !write_all(file.number, text_of(job.page)) ||
        !write_all(file.number, text_of(job.state)) || !stamp(file.number) || ::fsync(file.number) != 0 ||
        ::rename(aside.c_str(), path.c_str()) != 0) {
      const Error error = failed();
      ::unlink(aside.c_str());
      return error;
    }
  }
  const File in{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (in.number >= 0) ::fsync(in.number);  // the name, too
  return Done{};
}

// The order of uses outlives this process in the files' times, each later than all before it: a clock that is
// set back does not make what was used last look the oldest.
bool PrefixDisk::stamp(int file) {
  std::int64_t nanoseconds = 0;
  {
    const std::lock_guard lock(mutex_);
    last_use_ = std::max(last_use_ + std::chrono::microseconds(1), time_now());
    nanoseconds = last_use_.time_since_epoch().count();
  }
  const timespec time{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
  const timespec both[2] = {time, time};
  return ::futimens(file, both) == 0;
}

// The rest with the lock held.

void PrefixDisk::note_use(const Digest& name, std::int64_t bytes) {
  forget(name);
  entries_[name] = {bytes, ++clock_};
  by_use_.emplace(clock_, name);
  bytes_ += bytes;
}

void PrefixDisk::forget(const Digest& name) {
  const auto at = entries_.find(name);
  if (at == entries_.end()) return;
  bytes_ -= at->second.bytes;
  by_use_.erase(at->second.used);
  entries_.erase(at);
}

void PrefixDisk::make_room(std::int64_t bytes) {
  while (!by_use_.empty() && bytes_ + bytes > options_.bytes_max) {
    const Digest oldest = by_use_.begin()->second;
    ::unlink(path_of(oldest).c_str());
    forget(oldest);
  }
}

std::int64_t PrefixDisk::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

std::int64_t PrefixDisk::written_bytes() const {
  const std::lock_guard lock(mutex_);
  return written_bytes_;
}

}  // namespace deepwell
