// SPDX-License-Identifier: Apache-2.0
#include "server/app/service.h"

#include <algorithm>

#include "server/app/background.h"
#include "server/app/batches.h"
#include "server/app/chat_store.h"
#include "server/app/file_store.h"
#include "server/app/span_exporter.h"

namespace deepwell {

Service::Service(ModelSource source, ModelPoolOptions options) : models(std::move(source), options) {}

Service::~Service() {
  batches.reset();  // its lines use everything else, and so do answers in the background
  background.reset();
  {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return busy_ == 0; });
  }
  models.stop();
}

Status Service::keep_in(const std::string& folder, const std::function<void(const std::string&)>& report) {
  DW_TRY(files, FileStore::open(folder + "/files"));
  DW_TRY(batches, Batches::open(*this, *files, folder + "/batches", report));
  DW_RETURN_IF_ERROR(responses.keep_in(folder + "/responses"));
  DW_TRY(background, Background::open(*this, folder + "/background", report));
  DW_TRY(chats, ChatStore::open(folder + "/chats.sqlite"));
  return Done{};
}

double Service::stalled_seconds() const {
  constexpr double kLongestStep = 120;
  double longest = 0;
  models.each_loaded(
      [&](const ServedModel& model) { longest = std::max(longest, model.engine->stats().stalled_seconds); });
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
