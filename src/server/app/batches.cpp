// SPDX-License-Identifier: Apache-2.0
#include "server/app/batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <utility>

#include "server/app/answer.h"
#include "server/app/inner_exchange.h"
#include "server/app/request_log.h"
#include "server/request/json_reader.h"

namespace deepwell {
namespace {
using nlohmann::json;
namespace fs = std::filesystem;
constexpr std::size_t kLinesMax = 50'000;
constexpr std::chrono::seconds kPatience{30}, kDiskPatience{2};

const Endpoint* endpoint_at(const std::string& path) {
  for (const char* allowed : {"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"}) {
    if (path != allowed) continue;
    for (const Endpoint& endpoint : all_endpoints())
      if (std::string_view(endpoint.path) == path && std::string_view(endpoint.method) == "POST")
        return &endpoint;
  }
  return nullptr;
}

std::string_view next_line(std::string_view& rest) {
  const std::size_t end = std::min(rest.find('\n'), rest.size());
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return line;
}

/// All that is read of it later, so that nothing foreign is taken for a batch.
bool is_whole(const json& known) {
  if (!known.is_object() || !known.value("user", json()).is_string()) return false;
  const json batch = known.value("batch", json());
  if (!batch.is_object()) return false;
  for (const char* text : {"id", "status", "endpoint", "input_file_id"})
    if (!batch.value(text, json()).is_string()) return false;
  const json counts = batch.value("request_counts", json());
  return counts.is_object() && counts.value("completed", json()).is_number() &&
         counts.value("failed", json()).is_number() && batch.value("created_at", json()).is_number();
}

bool is_over(const json& batch) {
  return batch["status"] != "in_progress" && batch["status"] != "cancelling";
}
}  // namespace

Result<std::unique_ptr<Batches>> Batches::open(Service& service, FileStore& files, std::string folder,
                                               const Report& report) {
  DW_RETURN_IF_ERROR(make_kept_folder(folder));
  std::error_code error;
  std::unique_ptr<Batches> batches(new Batches(service, files, std::move(folder)));
  std::vector<std::string> damaged;
  for (const auto& entry : fs::directory_iterator(batches->folder_, error)) {
    if (entry.path().extension() != ".json") continue;
    const Result<std::string> text = read_whole(entry.path().string());
    json known = text ? json::parse(*text, nullptr, false) : json();
    if (is_whole(known))
      batches->batches_[entry.path().stem().string()] = std::move(known);
    else
      damaged.push_back(entry.path().string());
  }
  for (const std::string& path : damaged) set_aside(path, "a batch", report);
  batches->thread_ = std::thread([raw = batches.get()] { raw->work(); });
  return batches;
}

Batches::~Batches() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Result<std::vector<Batches::Line>> Batches::lines_of(const std::string& user, const std::string& file,
                                                     const std::string& endpoint) const {
  DW_TRY(const std::string bytes, files_.read(user, file));
  std::vector<Line> lines;
  std::set<std::string> ids;
  std::string_view rest = bytes;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::string_view text = next_line(rest);
    if (text.find_first_not_of(" \r\t") == std::string_view::npos) continue;
    const auto wrong = [&](const std::string& what) {
      return Error{ErrorCode::kInvalid, fmt::format("line {} of the file {}", number, what)};
    };
    const ApiResult<Json> line = parse_body(text);
    if (!line) return wrong("is not a request: " + line.error().message);
    const auto is_text = [&](const char* name) { return line->contains(name) && (*line)[name].is_string(); };
    if (!is_text("custom_id") || !is_text("url") || !line->contains("body") || !(*line)["body"].is_object())
      return wrong("needs 'custom_id', 'url' and 'body'");
    if ((*line)["url"] != endpoint) return wrong("is for another 'url' than the batch, " + endpoint);
    if (line->contains("method") && (*line)["method"] != "POST") return wrong("needs \"method\": \"POST\"");
    if ((*line)["body"].value("stream", Json()) == true) return wrong("cannot be streamed");
    std::string id = (*line)["custom_id"].get<std::string>();
    if (!ids.insert(id).second) return wrong(fmt::format("has the 'custom_id' of an earlier one: {}", id));
    if (lines.size() == kLinesMax) return wrong(fmt::format("is one too many: {} are taken", kLinesMax));
    lines.push_back({std::move(id), (*line)["body"].dump(-1, ' ', false, Json::error_handler_t::replace)});
  }
  if (lines.empty()) return Error{ErrorCode::kInvalid, "the file holds no request"};
  return lines;
}

Result<json> Batches::add(const std::string& user, const std::string& file, const std::string& endpoint,
                          json metadata) {
  if (endpoint_at(endpoint) == nullptr)
    return Error{ErrorCode::kInvalid,
                 fmt::format("'endpoint' cannot be '{}'; it can be /v1/chat/completions, "
                             "/v1/completions, /v1/responses or /v1/embeddings",
                             endpoint.substr(0, 100))};
  DW_TRY(const std::vector<Line> lines, lines_of(user, file, endpoint));
  const std::string id = "batch_" + random_id();
  const std::int64_t now = unix_seconds_now();
  json batch = {{"id", id},
                {"object", "batch"},
                {"endpoint", endpoint},
                {"errors", nullptr},
                {"input_file_id", file},
                {"completion_window", "24h"},
                {"status", "in_progress"},
                {"output_file_id", nullptr},
                {"error_file_id", nullptr},
                {"created_at", now},
                {"in_progress_at", now},
                {"expires_at", nullptr},
                {"finalizing_at", nullptr},
                {"completed_at", nullptr},
                {"failed_at", nullptr},
                {"expired_at", nullptr},
                {"cancelling_at", nullptr},
                {"cancelled_at", nullptr},
                {"request_counts", {{"total", lines.size()}, {"completed", 0}, {"failed", 0}}},
                {"metadata", std::move(metadata)}};
  {
    const std::lock_guard lock(mutex_);
    batches_[id] = {{"user", user}, {"batch", batch}};
    save(batches_[id]);
  }
  changed_.notify_all();
  return batch;
}

std::vector<json> Batches::list(const std::string& user) const {
  const std::lock_guard lock(mutex_);
  std::vector<json> found;
  for (const auto& [id, known] : batches_)
    if (known["user"] == user) found.push_back(known["batch"]);
  std::sort(found.begin(), found.end(),
            [](const json& a, const json& b) { return a["created_at"] > b["created_at"]; });
  return found;
}

Result<json> Batches::find(const std::string& user, const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = batches_.find(id);
  if (found == batches_.end() || found->second["user"] != user)
    return Error{ErrorCode::kNotFound, fmt::format("there is no batch '{}' here", id.substr(0, 100))};
  return found->second["batch"];
}

Result<json> Batches::cancel(const std::string& user, const std::string& id) {
  DW_TRY([[maybe_unused]] const json known, find(user, id));
  const std::lock_guard lock(mutex_);
  json& batch = batches_[id]["batch"];
  if (!is_over(batch)) {
    batch["status"] = "cancelling";
    batch["cancelling_at"] = unix_seconds_now();
    save(batches_[id]);
  }
  return batch;
}

void Batches::save(const json& known) const {
  // What cannot be written now is known until the server ends; the next change tries again.
  [[maybe_unused]] const Status saved =
      write_whole(folder_ + "/" + known["batch"]["id"].get<std::string>() + ".json", dump(known));
}

void Batches::work() {
  while (true) {
    std::string next;
    {
      std::unique_lock lock(mutex_);
      const auto open = [&] {
        const json* oldest = nullptr;
        for (const auto& [id, known] : batches_) {
          if (is_over(known["batch"]) ||
              (oldest != nullptr && (*oldest)["created_at"] <= known["batch"]["created_at"]))
            continue;
          oldest = &known["batch"];
          next = id;
        }
        return oldest != nullptr;
      };
      changed_.wait(lock, [&] { return stop_ || open(); });
      if (stop_) return;
    }
    try {
      run(next);
    } catch (const std::bad_alloc&) {  // it goes on when others have given some back
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, std::chrono::seconds(1), [this] { return stop_; });
    }
  }
}

// Others first: a line starts when nobody else is being answered, and steps back for those who come then; or
// after a while as one among others, so that it ends some day.
std::optional<int> Batches::wait_for_room() {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::unique_lock lock(mutex_);
  while (!stop_ && (service_.phase() != Phase::kReady ||
                    (service_.busy() > 0 && std::chrono::steady_clock::now() < deadline)))
    changed_.wait_for(lock, std::chrono::milliseconds(50));
  if (stop_) return std::nullopt;
  return std::chrono::steady_clock::now() < deadline ? 1 : 0;
}

bool Batches::is_cancelling(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return batches_.at(id)["batch"]["status"] == "cancelling";
}

bool Batches::is_stopping() const {
  const std::lock_guard lock(mutex_);
  return stop_ || service_.phase() == Phase::kDraining;
}

json Batches::answer_line(const std::string& user, const std::string& endpoint, const Line& line,
                          int priority) {
  http::Request request;
  request.method = "POST";
  request.path = request.target = endpoint;
  request.body = line.body;
  const auto fields = std::make_shared<LogFields>();
  fields->keeps_text = service_.audit && service_.audit_text;
  if (fields->keeps_text) fields->question = line.body;
  RequestRecord record{.arrived = std::chrono::system_clock::now(),
                       .id = "batch_req_" + random_id(),
                       .method = "BATCH",
                       .path = endpoint,
                       .user = user};
  const auto started = std::chrono::steady_clock::now();
  struct Answer {
    std::mutex mutex;
    std::condition_variable changed;
    int status = 0;
    std::string body;
  };
  const auto answer = std::make_shared<Answer>();
  auto exchange = std::make_shared<InnerExchange>(std::move(request), [answer](int status, std::string body) {
    const std::lock_guard lock(answer->mutex);
    answer->status = status;
    answer->body = std::move(body);
    answer->changed.notify_all();
  });
  const std::weak_ptr<InnerExchange> running = exchange;
  {
    Call call{service_, std::move(exchange), fields, started, to_json, user};
    call.priority = priority;
    call.admitted = true;
    endpoint_at(endpoint)->run(call);
  }
  std::unique_lock lock(answer->mutex);
  while (
      !answer->changed.wait_for(lock, std::chrono::milliseconds(100), [&] { return answer->status != 0; })) {
    if (!is_stopping()) continue;
    lock.unlock();  // it may answer at once
    if (const auto there = running.lock()) there->give_up();
    lock.lock();
  }
  if (service_.audit) {
    record.status = answer->status;
    record.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    service_.audit->write(audit_line(record, *fields));
  }
  return {{"id", record.id},
          {"custom_id", line.id},
          {"response",
           {{"status_code", answer->status},
            {"request_id", "req_" + random_id()},
            {"body", json::parse(answer->body, nullptr, false)}}},
          {"error", nullptr}};
}

void Batches::run(const std::string& id) {
  std::string user, file, endpoint;
  {
    const std::lock_guard lock(mutex_);
    const json& known = batches_[id];
    user = known["user"].get<std::string>();
    file = known["batch"]["input_file_id"].get<std::string>();
    endpoint = known["batch"]["endpoint"].get<std::string>();
  }
  const Result<std::vector<Line>> lines = lines_of(user, file, endpoint);
  if (!lines) {
    {
      const std::lock_guard lock(mutex_);
      batches_[id]["batch"]["errors"] = {
          {"object", "list"}, {"data", {{{"code", "invalid_input"}, {"message", lines.error().message}}}}};
    }
    return finish(id, "failed");
  }
  std::set<std::string> done;  // before a restart
  const std::string results = folder_ + "/" + id + ".jsonl";
  if (const Result<std::string> before = read_whole(results)) {
    // A line that was cut off when the server died is ended, and answered again.
    if (!before->empty() && !before->ends_with('\n'))
      std::ofstream(results, std::ios::binary | std::ios::app) << '\n';
    std::string_view rest = *before;
    while (!rest.empty()) {
      const json line = json::parse(next_line(rest), nullptr, false);
      if (line.is_object() && line.contains("custom_id")) done.insert(line["custom_id"].get<std::string>());
    }
  }
  for (const Line& line : *lines) {
    if (done.contains(line.id)) continue;
    const std::optional<int> priority = wait_for_room();
    if (!priority) return;  // the next start goes on
    if (is_cancelling(id)) return finish(id, "cancelled");
    const json answered = answer_line(user, endpoint, line, *priority);
    if (is_stopping() && answered["response"]["status_code"] != 200)
      return;                                               // given up: the next start answers it
    if (!append_line(id, results, dump(answered))) return;  // the next start answers it
    const std::lock_guard lock(mutex_);
    json& counts = batches_[id]["batch"]["request_counts"];
    json& counted = counts[answered["response"]["status_code"] == 200 ? "completed" : "failed"];
    counted = counted.get<std::int64_t>() + 1;
    save(batches_[id]);
  }
  finish(id, "completed");
}

/// What a full disk does not take waits until it does.
bool Batches::append_line(const std::string& id, const std::string& path, const std::string& line) {
  while (true) {
    std::error_code none;
    const std::uintmax_t before = fs::exists(path, none) ? fs::file_size(path, none) : 0;
    std::ofstream file(path, std::ios::binary | std::ios::app);
    file << line + "\n" << std::flush;
    if (file.good()) {
      const std::lock_guard lock(mutex_);
      batches_[id]["batch"]["errors"] = nullptr;
      return true;
    }
    file.close();
    fs::resize_file(path, before, none);  // half a line helps nobody
    if (!wait_for_disk(id)) return false;
  }
}

/// Says why nothing moves, and waits a while; false when the server ends.
bool Batches::wait_for_disk(const std::string& id) {
  std::unique_lock lock(mutex_);
  batches_[id]["batch"]["errors"] = {
      {"object", "list"},
      {"data", {{{"code", "disk_full"}, {"message", "the server's disk takes no more; it tries again"}}}}};
  return !changed_.wait_for(lock, kDiskPatience, [this] { return stop_; });
}

// What a full disk does not take now is taken later: the batch is not over before.
void Batches::finish(const std::string& id, const char* status) {
  while (!try_finish(id, status) && wait_for_disk(id)) {
  }
}

bool Batches::try_finish(const std::string& id, const char* status) {
  const std::lock_guard lock(mutex_);
  json& known = batches_[id];
  json& batch = known["batch"];
  const std::string user = known["user"].get<std::string>(), results = folder_ + "/" + id + ".jsonl";
  std::string good, bad;
  if (const Result<std::string> all = read_whole(results)) {
    std::string_view rest = *all;
    while (!rest.empty()) {
      const std::string_view text = next_line(rest);
      const json line = json::parse(text, nullptr, false);
      if (!line.is_object()) continue;  // cut off by a full disk
      (line["response"]["status_code"] == 200 ? good : bad) += std::string(text) + "\n";
    }
  }
  const auto keep = [&](const std::string& lines, const char* name, const char* field) {
    if (lines.empty() || !batch[field].is_null()) return true;
    const Result<json> file = files_.add(user, id + name, "batch_output", lines);
    if (file) batch[field] = (*file)["id"];
    return file.ok();
  };
  if (!keep(good, "_output.jsonl", "output_file_id") || !keep(bad, "_error.jsonl", "error_file_id"))
    return false;
  batch["status"] = status;
  batch[std::string(status) + "_at"] = unix_seconds_now();
  save(known);
  std::error_code ignored;
  fs::remove(results, ignored);
  return true;
}

}  // namespace deepwell
