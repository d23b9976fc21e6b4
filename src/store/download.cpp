// SPDX-License-Identifier: Apache-2.0
#include "store/download.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "base/human.h"
#include "store/disk.h"
#include "store/file_lock.h"
#include "store/hash.h"

namespace deepwell {
namespace {

std::string unquoted(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

std::string first_header(const HttpReply& reply, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const auto found = reply.headers.find(name); found != reply.headers.end()) return found->second;
  return "";
}

/// One blob on its way into the cache.
class BlobDownload {
 public:
  BlobDownload(const HubAccess& hub, const HubListing& listing, const HubFile& file, OutputFile output,
               PullReport& report)
      : hub_(hub),
        file_(file),
        url_(hub.file_url(listing, file)),
        output_(std::move(output)),
        report_(report),
        done_before_(report.now.done),
        hasher_(file.hash, file.size) {}

  /// Leaves the whole content in the output, its hash checked.
  Status run() {
    // What an earlier run left may be of another content: then the hash is wrong once, and all is fetched
    // anew.
    const bool resumed = output_.size() > 0;
    DW_RETURN_IF_ERROR(take_what_is_there());
    DW_RETURN_IF_ERROR(fetch_rest());
    if (hasher_.finish() == file_.hash) return Done{};
    if (resumed && !restarted_) {
      if (!report_.step("retrying", "what an earlier download left does not belong to this file"))
        return stopped();
      DW_RETURN_IF_ERROR(restart());
      report_.now.step = "downloading";
      DW_RETURN_IF_ERROR(fetch_rest());
      if (hasher_.finish() == file_.hash) return Done{};
    }
    DW_RETURN_IF_ERROR(output_.clear());
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: what {} sent does not have the hash it should have ({}): the "
                             "hub or something between is broken; nothing was stored; try again",
                             printable(file_.path), hub_.endpoint, file_.hash)};
  }

  OutputFile& output() { return output_; }

 private:
  static Error stopped() { return {ErrorCode::kCancelled, "stopped"}; }

  void show() { report_.now.done = done_before_ + output_.size(); }

  Status restart() {
    DW_RETURN_IF_ERROR(output_.clear());
    hasher_ = ContentHasher(file_.hash, file_.size);
    restarted_ = true;
    report_.now.resumed = 0;
    show();
    return Done{};
  }

  Status take_what_is_there() {
    if (output_.size() > file_.size) return restart();
    if (output_.size() == 0) return Done{};
    if (!report_.step("verifying", "what an earlier download left")) return stopped();
    std::int64_t hashed = 0;
    DW_RETURN_IF_ERROR(output_.read([&](std::span<const std::byte> bytes) {
      hasher_.add(bytes);
      hashed += static_cast<std::int64_t>(bytes.size());
      report_.now.done = done_before_ + hashed;
      return report_.tick();
    }));
    report_.now.resumed += output_.size();
    return Done{};
  }

  Status fetch_rest() {
    report_.now.step = "downloading";
    report_.now.note.clear();
    return with_retries(
        report_, [&] { return output_.size(); }, [&] { return fetch_once(); });
  }

  /// One connection. Success: all bytes are there.
  Status fetch_once() {
    if (output_.size() == file_.size) return Done{};
    HttpRequest request = hub_.request(url_);
    request.from = output_.size();
    std::optional<Error> failure;
    bool first = true;
    const HttpSink sink = [&](const HttpReply& reply, std::span<const std::byte> bytes) {
      Status status = first ? check_start(reply, request.from) : Status(Done{});
      first = false;
      if (status.ok()) status = take(bytes);
      if (!status.ok()) failure = std::move(status).error();
      return !failure && report_.tick();
    };
    const auto reply = http_get(request, sink, [&] { return report_.tick(); });
    if (failure) return *failure;
    if (!reply.ok()) return reply.error();
    if (reply->status == 416 && request.from > 0) {  // the hub's file is shorter than what is here
      DW_RETURN_IF_ERROR(restart());
      return Error{ErrorCode::kIo, "the hub does not have the rest of what is here; starting over"};
    }
    if (reply->status < 200 || reply->status > 299) return hub_error(hub_, file_.path, *reply);
    if (output_.size() < file_.size)
      return Error{ErrorCode::kIo, fmt::format("{}: the connection ended after {} of {} bytes",
                                               printable(file_.path), output_.size(), file_.size)};
    return Done{};
  }

  /// Is what now arrives what was asked for?
  Status check_start(const HttpReply& reply, std::int64_t from) {
    if (from == 0) return Done{};
    if (reply.status != 206) return restart();  // the whole file: this server cannot resume, or it changed
    if (reply.range_start == from && reply.range_total.value_or(file_.size) == file_.size) return Done{};
    DW_RETURN_IF_ERROR(restart());
    return Error{ErrorCode::kIo, "the hub sent another part than was asked for; starting over"};
  }

  Status take(std::span<const std::byte> bytes) {
    if (static_cast<std::int64_t>(bytes.size()) > file_.size - output_.size()) {
      DW_RETURN_IF_ERROR(output_.clear());
      return Error{ErrorCode::kCorrupt,
                   fmt::format("{}: {} sends more than the {} bytes it announced; nothing was "
                               "stored; try again later",
                               printable(file_.path), hub_.endpoint, file_.size)};
    }
    DW_RETURN_IF_ERROR(output_.append(bytes));
    hasher_.add(bytes);
    show();
    return Done{};
  }

  const HubAccess& hub_;
  const HubFile& file_;
  std::string url_;
  OutputFile output_;
  PullReport& report_;
  std::int64_t done_before_;
  ContentHasher hasher_;
  bool restarted_ = false;
};

bool is_there(const CacheRepo& repo, const HubFile& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(repo.blob(file.hash), error);
  return !error && static_cast<std::int64_t>(size) == file.size;
}

}  // namespace

Status complete_file_facts(const HubAccess& hub, const HubListing& listing, HubFile& file,
                           PullReport& report) {
  if (file.size >= 0 && !file.hash.empty()) return Done{};
  HttpRequest request = hub.request(hub.file_url(listing, file));
  request.head = true;
  DW_TRY(const HttpReply reply, with_retries(
                                    report, [] { return 0; },
                                    [&] { return http_get_text(request, [&] { return report.tick(); }); }));
  if (reply.status < 200 || reply.status > 299) return hub_error(hub, file.path, reply);
  const std::string size = first_header(reply, {"x-linked-size", "content-length"});
  if (file.size < 0) std::from_chars(size.data(), size.data() + size.size(), file.size);
  if (file.hash.empty()) file.hash = unquoted(first_header(reply, {"x-linked-etag", "etag"}));
  if (file.size < 0 || !is_content_hash(file.hash))
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: {} tells neither in its listing nor with the file what its size "
                             "and hash are, so it could not be checked; use another mirror",
                             printable(file.path), hub.endpoint)};
  return Done{};
}

Status fetch_blob(const HubAccess& hub, const HubListing& listing, const HubFile& file, const CacheRepo& repo,
                  PullReport& report) {
  report.now.file = file.path;
  const std::int64_t done_after = report.now.done + file.size;
  if (!is_there(repo, file)) {
    DW_TRY(const FileLock lock, FileLock::take(repo.lock(file.hash), [&] {
             return report.step("waiting", "another program is fetching the same file");
           }));
    if (!is_there(repo, file)) {
      std::filesystem::path partial = repo.blob(file.hash);
      partial += ".incomplete";
      DW_TRY(OutputFile output, OutputFile::open(partial));
      DW_RETURN_IF_ERROR(
          check_disk_space(partial.parent_path(), file.size - output.size(), report.options().free_bytes));
      BlobDownload download(hub, listing, file, std::move(output), report);
      DW_RETURN_IF_ERROR(download.run());
      DW_RETURN_IF_ERROR(download.output().finish(repo.blob(file.hash)));
    }
  }
  report.now.done = done_after;
  return Done{};
}

}  // namespace deepwell
