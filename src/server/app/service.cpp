// SPDX-License-Identifier: Apache-2.0
#include "server/app/service.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/app/batches.h"
#include "server/app/chat_store.h"
#include "server/app/file_store.h"

namespace deepwell {

Service::Service() = default;

Service::~Service() {
  batches.reset();  // its lines use everything else
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return busy_ == 0; });
}

Status Service::keep_in(const std::string& folder) {
  DW_TRY(files, FileStore::open(folder + "/files"));
  DW_TRY(batches, Batches::open(*this, *files, folder + "/batches"));
  DW_TRY(chats, ChatStore::open(folder + "/chats.sqlite"));
  return Done{};
}

void Service::add_model(std::shared_ptr<ServedModel> model, const std::vector<std::string>& aliases) {
  const std::lock_guard lock(mutex_);
  by_name_[model->id] = model.get();
  for (const std::string& alias : aliases) by_name_[alias] = model.get();
  models_.push_back(std::move(model));
}

std::vector<ServedModel*> Service::models() const {
  const std::lock_guard lock(mutex_);
  std::vector<ServedModel*> all;
  for (const auto& model : models_) all.push_back(model.get());
  return all;
}

std::vector<std::string> Service::names() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> all;
  for (const auto& model : models_) all.push_back(model->id);
  for (const auto& [name, model] : by_name_) {
    if (name != model->id) all.push_back(name);
  }
  return all;
}

ServedModel* Service::find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  if (name.empty()) return models_.empty() ? nullptr : models_.front().get();
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

ApiResult<ServedModel*> Service::model_for_work(std::string_view name) const {
  if (phase_ != Phase::kReady) {
    const bool loading = phase_ == Phase::kLoading;
    ApiError error;
    error.status = 503;
    error.type = "server_error";
    error.code = loading ? "loading" : "draining";
    error.message = loading ? "the model is still being loaded; try again in a moment"
                            : "this server is shutting down; try again when it is back";
    error.retry_after_seconds = loading ? 2 : 10;
    return error;
  }
  if (ServedModel* model = find(name); model != nullptr) return model;
  ApiError error;
  error.status = 404;
  error.code = "model_not_found";
  error.param = "model";
  error.message = fmt::format("the model '{}' is not served here; served: {}", name.substr(0, 200),
                              fmt::join(names(), ", "));
  return error;
}

double Service::stalled_seconds() const {
  constexpr double kLongestStep = 120;
  double longest = 0;
  for (const ServedModel* model : models())
    longest = std::max(longest, model->engine->stats().stalled_seconds);
  return longest > kLongestStep ? longest : 0;
}

Service::Busy::Busy(Service& service) : service_(service) {
  const std::lock_guard lock(service_.mutex_);
  ++service_.busy_;
}

Service::Busy::~Busy() {
  const std::lock_guard lock(service_.mutex_);
  service_.give_up_.erase(this);
  if (--service_.busy_ == 0) service_.idle_.notify_all();
}

void Service::Busy::on_give_up(std::function<void()> give_up) {
  const std::lock_guard lock(service_.mutex_);
  service_.give_up_[this] = std::move(give_up);
}

void Service::give_up_all() {
  std::vector<std::function<void()>> calls;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [busy, call] : give_up_) calls.push_back(call);
  }
  for (const auto& call : calls) call();
}

int Service::busy() const {
  const std::lock_guard lock(mutex_);
  return busy_;
}

}  // namespace deepwell
