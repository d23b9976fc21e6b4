// SPDX-License-Identifier: Apache-2.0
#include "server/app/background.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "server/app/answer.h"
#include "server/app/file_store.h"

namespace deepwell {
namespace {
using nlohmann::json;
namespace fs = std::filesystem;
constexpr int kAtOnce = 16;  // more would only wait in the engine's queue
constexpr std::size_t kJobsMax = 10'000;

const Endpoint& responses_endpoint() {
  for (const Endpoint& endpoint : all_endpoints())
    if (std::string_view(endpoint.path) == "/v1/responses" && std::string_view(endpoint.method) == "POST")
      return endpoint;
  DW_CHECK(false);
  return all_endpoints().front();
}
}  // namespace

Result<std::unique_ptr<Background>> Background::open(Service& service, std::string folder,
                                                     const Report& report) {
  DW_RETURN_IF_ERROR(make_kept_folder(folder));
  std::error_code error;
  std::unique_ptr<Background> all(new Background(service, std::move(folder)));
  std::vector<std::string> damaged;
  for (const auto& entry : fs::directory_iterator(all->folder_, error)) {
    if (entry.path().extension() != ".json") continue;
    const Result<std::string> text = read_whole(entry.path().string());
    const json known = text ? json::parse(*text, nullptr, false) : json();
    if (!known.is_object() || !known.value("user", json()).is_string() ||
        !known.value("body", json()).is_string() || !known.value("object", json()).is_object() ||
        !known["object"].value("status", json()).is_string()) {
      damaged.push_back(entry.path().string());
      continue;
    }
    const std::string id = entry.path().stem().string();
    Job job{known["user"].get<std::string>(), known["body"].get<std::string>(), known["object"], {}};
    if (!all->is_over(job)) {
      job.object["status"] = "queued";
      all->waiting_.push_back(id);
    }
    all->jobs_[id] = std::move(job);
  }
  for (const std::string& path : damaged) set_aside(path, "a response in the background", report);
  std::sort(all->waiting_.begin(), all->waiting_.end(), [&](const std::string& a, const std::string& b) {
    return all->jobs_[a].object["created_at"] < all->jobs_[b].object["created_at"];
  });
  all->thread_ = std::thread([raw = all.get()] { raw->work(); });
  return all;
}

Background::~Background() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Status Background::save(const std::string& id, const Job& job) const {
  return write_whole(path(id), dump({{"user", job.user}, {"body", job.body}, {"object", job.object}}));
}

bool Background::is_over(const Job& job) const {
  return job.object["status"] != "queued" && job.object["status"] != "in_progress";
}

Status Background::add(const std::string& user, const std::string& body, const json& object) {
  const auto id = object["id"].get<std::string>();
  Job job{user, body, object, {}};
  {
    const std::lock_guard lock(mutex_);
    if (jobs_.size() >= kJobsMax)
      return Error{ErrorCode::kOverloaded,
                   fmt::format("{} background responses are kept already; fetch or delete some", kJobsMax)};
  }
  DW_RETURN_IF_ERROR(save(id, job));
  {
    const std::lock_guard lock(mutex_);
    jobs_[id] = std::move(job);
    waiting_.push_back(id);
  }
  changed_.notify_all();
  return Done{};
}

std::optional<json> Background::find(const std::string& user, const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end() || found->second.user != user) return std::nullopt;
  return found->second.object;
}

std::optional<json> Background::cancel(const std::string& user, const std::string& id) {
  std::shared_ptr<InnerExchange> running;
  json object;
  {
    const std::lock_guard lock(mutex_);
    const auto found = jobs_.find(id);
    if (found == jobs_.end() || found->second.user != user) return std::nullopt;
    Job& job = found->second;
    if (!is_over(job)) {
      job.object["status"] = "cancelled";
      std::erase(waiting_, id);
      running = job.running.lock();
      [[maybe_unused]] const Status saved = save(id, job);  // unsaved, it is answered after a restart
    }
    object = job.object;
  }
  if (running != nullptr) running->give_up();
  return object;
}

bool Background::remove(const std::string& user, const std::string& id) {
  if (!cancel(user, id)) return false;
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return true;
  std::error_code ignored;
  fs::remove(path(id), ignored);
  jobs_.erase(found);
  return true;
}

// ---- The thread.

void Background::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    while (!answered_.empty()) {
      const Answered answered = std::move(answered_.front());
      answered_.erase(answered_.begin());
      settle(lock, answered);
    }
    const bool ending = stop_ || service_.phase() == Phase::kDraining;
    if (ending) give_up_all(lock);
    if (stop_ && running_ == 0 && answered_.empty()) return;
    if (!ending && service_.phase() == Phase::kReady && running_ < kAtOnce && !waiting_.empty()) {
      const std::string id = waiting_.front();
      waiting_.erase(waiting_.begin());
      Job& job = jobs_[id];
      job.object["status"] = "in_progress";
      job.is_running = true;
      ++running_;
      const std::string user = job.user, body = job.body;
      lock.unlock();
      start(id, user, body);
      lock.lock();
      continue;
    }
    changed_.wait_for(lock, std::chrono::milliseconds(running_ > 0 || !waiting_.empty() ? 100 : 1000));
  }
}

void Background::start(const std::string& id, const std::string& user, const std::string& body) {
  http::Request request;
  request.method = "POST";
  request.path = request.target = "/v1/responses";
  request.body = body;
  auto exchange =
      std::make_shared<InnerExchange>(std::move(request), [this, id](int status, std::string text) {
        {
          const std::lock_guard lock(mutex_);
          answered_.push_back({id, status, std::move(text)});
        }
        changed_.notify_all();
      });
  {
    const std::lock_guard lock(mutex_);
    if (const auto job = jobs_.find(id); job != jobs_.end()) job->second.running = exchange;
  }
  Call call{service_, exchange, std::make_shared<LogFields>(), std::chrono::steady_clock::now(),
            to_json,  user};
  call.answer_id = id;
  call.admitted = true;
  exchange.reset();
  responses_endpoint().run(call);
}

void Background::settle(std::unique_lock<std::mutex>& lock, const Answered& answered) {
  --running_;
  const auto found = jobs_.find(answered.id);
  if (found == jobs_.end()) return;  // removed meanwhile
  Job& job = found->second;
  job.is_running = false;
  if (is_over(job)) return;  // cancelled
  if (answered.status == 200) {
    lock.unlock();
    const bool saved = service_.responses.saved(answered.id);
    lock.lock();
    const auto again = jobs_.find(answered.id);
    if (again == jobs_.end()) return;
    // A full disk: the answer is in memory, and made again should the server end before it is fetched.
    std::error_code ignored;
    if (saved) fs::remove(path(answered.id), ignored);
    jobs_.erase(again);
    return;
  }
  if (stop_ || service_.phase() == Phase::kDraining) return;  // given up: the next start answers it
  const json refusal = json::parse(answered.body, nullptr, false);
  job.object["status"] = "failed";
  job.object["error"] = {{"code", "server_error"}, {"message", "the answer failed"}};
  if (refusal.is_object() && refusal.contains("error") && refusal["error"].contains("message")) {
    job.object["error"]["message"] = refusal["error"]["message"];
    if (answered.status < 500) job.object["error"]["code"] = "invalid_prompt";
  }
  [[maybe_unused]] const Status kept = save(answered.id, job);  // unsaved, it is tried again after a restart
}

void Background::give_up_all(std::unique_lock<std::mutex>& lock) {
  std::vector<std::shared_ptr<InnerExchange>> all;
  for (auto& [id, job] : jobs_)
    if (auto running = job.running.lock()) all.push_back(std::move(running));
  lock.unlock();
  for (const auto& one : all) one->give_up();
  all.clear();
  lock.lock();
}

}  // namespace deepwell
