// SPDX-License-Identifier: Apache-2.0
#include "server/model/model_pool.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>

namespace deepwell {

struct PooledModel {
  using Clock = ModelPool::Clock;
  std::string id, path;
  EngineInfo info;
  std::int64_t bytes = 0, created_unix_seconds = 0;
  std::shared_ptr<ServedModel> loaded;
  bool loading = false;
  bool unwanted = false;  ///< somebody asked for it to be unloaded
  bool leaving = false;   ///< unwanted, or its memory is: no new request gets it
  double progress = 0;
  int uses = 0;
  Clock::time_point last_used{};
  double idle_seconds = -1;
  std::string error;

  bool given() const { return loaded != nullptr && !leaving; }
  std::optional<Clock::time_point> expires() const {
    if (loaded == nullptr || uses > 0 || idle_seconds < 0) return std::nullopt;
    return last_used + std::chrono::duration_cast<Clock::duration>(
                           std::chrono::duration<double>(std::min(idle_seconds, 1e8)));
  }
};

namespace {
std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}
}  // namespace

const char* name_of(ModelState::Kind kind) {
  static constexpr const char* kNames[] = {"unloaded", "loading", "loaded", "unloading"};
  return kNames[static_cast<int>(kind)];
}

ModelUse::ModelUse(ModelUse&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), model_(other.model_) {}
ModelUse::~ModelUse() {
  if (pool_ != nullptr) pool_->give_back(*model_);
}
ServedModel& ModelUse::operator*() const { return *model_->loaded; }

ModelPool::ModelPool(ModelSource source, ModelPoolOptions options)
    : source_(std::move(source)), options_(options), thread_([this] { run(); }) {}

ModelPool::~ModelPool() { stop(); }

void ModelPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Status ModelPool::add(const std::string& id, const std::string& path) {
  DW_TRY(const ModelSource::Outline outline, source_.outline(path));
  const std::lock_guard lock(mutex_);
  if (by_name_.contains(id))
    return Error{ErrorCode::kInvalid, fmt::format("two models are called '{}'; rename one file", id)};
  PooledModel& model = *models_.emplace_back(std::make_unique<PooledModel>());
  model.id = id;
  model.path = path;
  model.info = outline.info;
  model.bytes = outline.bytes;
  model.created_unix_seconds = unix_seconds();
  by_name_[id] = &model;
  return Done{};
}

void ModelPool::add_loaded(std::shared_ptr<ServedModel> loaded, const std::vector<std::string>& aliases) {
  const std::lock_guard lock(mutex_);
  PooledModel& model = *models_.emplace_back(std::make_unique<PooledModel>());
  model.id = loaded->id;
  model.path = loaded->path;
  model.info = loaded->engine->info();
  model.created_unix_seconds = loaded->created_unix_seconds;
  model.loaded = std::move(loaded);
  by_name_[model.id] = &model;
  for (const std::string& name : aliases) by_name_[name] = &model;
}

Status ModelPool::know(const std::string& name) {
  if (find(name)) return Done{};
  if (!source_.find) return Error{ErrorCode::kNotFound, fmt::format("there is no model '{}' here", name)};
  DW_TRY(const std::string path, source_.find(name));
  const std::string id = source_.id_of ? source_.id_of(name, path) : name;
  const auto is_known = [&] {
    const std::lock_guard lock(mutex_);
    PooledModel* const model = by_name(id);
    if (model == nullptr || model->path != path) return false;
    by_name_.emplace(name, model);
    return true;
  };
  if (is_known()) return Done{};
  const Status added = add(id, path);
  // Somebody else may have added it meanwhile.
  return is_known() ? Status(Done{}) : added;
}

Status ModelPool::alias(const std::string& name, const std::string& of) {
  DW_RETURN_IF_ERROR(know(of));
  const std::lock_guard lock(mutex_);
  for (const auto& model : models_) {
    if (model->id == name)
      return Error{ErrorCode::kInvalid,
                   fmt::format("a model is called '{}' itself; choose another name", name)};
  }
  by_name_[name] = by_name(of);
  return Done{};
}

PooledModel* ModelPool::by_name(std::string_view name) const {
  if (name.empty()) return models_.empty() ? nullptr : models_.front().get();
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

ModelUse ModelPool::grant(PooledModel& model, const std::optional<double>& idle_seconds) {
  ++model.uses;
  model.last_used = Clock::now();
  model.idle_seconds = idle_seconds.value_or(options_.idle_seconds);
  return {*this, model};
}

void ModelPool::give_back(PooledModel& model) {
  {
    const std::lock_guard lock(mutex_);
    --model.uses;
    model.last_used = Clock::now();
    if (model.uses > 0) return;
  }
  changed_.notify_all();
}

bool ModelPool::use(std::string_view name, Waiter waiter) {
  std::optional<Result<ModelUse>> now;
  {
    const std::lock_guard lock(mutex_);
    PooledModel* const model = by_name(name);
    if (model == nullptr) {
      now.emplace(
          Error{ErrorCode::kNotFound, fmt::format("the model '{}' is not served here", name.substr(0, 200))});
    } else if (stop_) {
      now.emplace(Error{ErrorCode::kCancelled, "this server is shutting down"});
    } else if (model->given()) {
      now.emplace(grant(*model, waiter.idle_seconds));
    } else {
      waiting_.push_back({model, std::move(waiter)});
    }
  }
  if (!now) {
    changed_.notify_all();
    return false;
  }
  waiter.then(std::move(*now));
  return true;
}

Result<bool> ModelPool::unload(std::string_view name) {
  {
    const std::lock_guard lock(mutex_);
    PooledModel* const model = by_name(name);
    if (model == nullptr)
      return Error{ErrorCode::kNotFound,
                   fmt::format("the model '{}' is not served here", name.substr(0, 200))};
    if (model->loaded == nullptr) return true;
    model->unwanted = model->leaving = true;
  }
  changed_.notify_all();
  return false;
}

ModelState ModelPool::state_of(const PooledModel& model) const {
  using Kind = ModelState::Kind;
  ModelState state;
  state.kind = model.loading             ? Kind::kLoading
               : model.loaded == nullptr ? Kind::kUnloaded
               : model.leaving           ? Kind::kLeaving
                                         : Kind::kLoaded;
  state.id = model.id;
  state.path = model.path;
  for (const auto& [name, named] : by_name_)
    if (named == &model && name != model.id) state.aliases.push_back(name);
  state.info = model.loaded != nullptr ? model.loaded->engine->info() : model.info;
  state.bytes = model.bytes;
  state.created_unix_seconds = model.created_unix_seconds;
  state.chat = model.loaded == nullptr || model.loaded->chat != nullptr;
  state.thinking =
      model.loaded != nullptr && model.loaded->chat != nullptr && model.loaded->chat->can_think();
  state.progress = model.progress;
  state.uses = model.uses;
  for (const Waiting& waiting : waiting_) state.waiting += waiting.model == &model ? 1 : 0;
  if (const auto at = model.expires())
    state.expires_seconds = std::max(0.0, std::chrono::duration<double>(*at - Clock::now()).count());
  state.error = model.error;
  return state;
}

std::vector<ModelState> ModelPool::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<ModelState> all;
  for (const auto& model : models_) all.push_back(state_of(*model));
  return all;
}

std::optional<ModelState> ModelPool::find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const PooledModel* const model = by_name(name);
  if (model == nullptr) return std::nullopt;
  return state_of(*model);
}

std::vector<std::string> ModelPool::names() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> all;
  for (const auto& model : models_) all.push_back(model->id);
  for (const auto& [name, model] : by_name_)
    if (name != model->id) all.push_back(name);
  return all;
}

void ModelPool::each_loaded(const std::function<void(const ServedModel&)>& visit) const {
  const std::lock_guard lock(mutex_);
  for (const auto& model : models_)
    if (model->loaded != nullptr) visit(*model->loaded);
}

// ---- The pool's thread.

void ModelPool::run() {
  Lock lock(mutex_);
  auto told = Clock::now();
  while (!stop_) {
    if (step(lock)) continue;
    auto until = Clock::now() + std::chrono::hours(1);
    for (const auto& model : models_)
      if (const auto at = model->expires()) until = std::min(until, *at);
    if (!waiting_.empty()) until = std::min(until, told + std::chrono::seconds(1));
    changed_.wait_until(lock, until);
    if (!waiting_.empty() && Clock::now() - told >= std::chrono::seconds(1)) {
      told = Clock::now();
      tell_news(lock);
    }
  }
  fail(lock, nullptr, {ErrorCode::kCancelled, "this server is shutting down"});
}

/// One thing of those that are to be done; false when nothing is, until something changes.
bool ModelPool::step(Lock& lock) {
  drop_those_who_left(lock);
  if (grant_loaded(lock)) return true;
  const auto now = Clock::now();
  for (const auto& model : models_) {
    const auto expires = model->expires();
    if (model->loaded == nullptr || model->uses > 0 || !(model->unwanted || (expires && *expires <= now)))
      continue;
    unload(lock, *model);
    return true;
  }
  // Who leaves only for another's sake stays when that one is no longer wanted.
  for (const auto& model : models_) model->leaving = model->unwanted;
  for (const Waiting& waiting : waiting_) {
    if (waiting.model->given()) return grant_loaded(lock);
    if (waiting.model->loaded != nullptr) continue;  // unwanted; its turn comes when it has left
    PooledModel& wanted = *waiting.model;
    if (!make_room(lock, wanted)) return false;
    load(lock, wanted);
    return true;
  }
  return grant_loaded(lock);
}

bool ModelPool::grant_loaded(Lock& lock) {
  const auto next = std::find_if(waiting_.begin(), waiting_.end(),
                                 [](const Waiting& waiting) { return waiting.model->given(); });
  if (next == waiting_.end()) return false;
  Waiter waiter = std::move(next->waiter);
  ModelUse use = grant(*next->model, waiter.idle_seconds);
  waiting_.erase(next);
  lock.unlock();
  waiter.then(std::move(use));
  waiter = {};
  lock.lock();
  return true;
}

/// Whether there is memory for it now. If not, something was unloaded (ask again), or somebody leaves whose
/// requests have to end first. A model that is alone is tried whatever the estimate says.
bool ModelPool::make_room(Lock& lock, PooledModel& wanted) {
  for (;;) {
    std::int64_t taken = 0;
    PooledModel* oldest = nullptr;
    for (const auto& model : models_) {
      if (model->loaded == nullptr) continue;
      taken += model->bytes;
      const auto key = [](const PooledModel& one) { return std::pair(one.uses > 0, one.last_used); };
      if (oldest == nullptr || key(*model) < key(*oldest)) oldest = model.get();
    }
    std::int64_t free = options_.bytes_max > 0 ? options_.bytes_max - taken
                        : source_.free_bytes   ? source_.free_bytes()
                                               : 0;
    const bool unknown = options_.bytes_max <= 0 && free <= 0;
    if (oldest == nullptr || unknown || wanted.bytes <= free) return true;
    if (oldest->uses > 0) {
      oldest->leaving = true;
      return false;
    }
    unload(lock, *oldest);
  }
}

void ModelPool::load(Lock& lock, PooledModel& model) {
  model.loading = true;
  model.progress = 0;
  lock.unlock();
  auto told = Clock::now();
  Result<ModelSource::Made> made = source_.load(model.path, model.id, [&](double fraction) {
    Lock inner(mutex_);
    model.progress = fraction;
    if (Clock::now() - told < std::chrono::seconds(1)) return;
    told = Clock::now();
    tell_news(inner);
  });
  lock.lock();
  model.loading = false;
  model.error = made ? "" : made.error().message;
  if (!made) return fail(lock, &model, made.error());
  model.loaded = std::move(*made);
  model.unwanted = model.leaving = false;
  model.last_used = Clock::now();
  model.idle_seconds = options_.idle_seconds;
}

void ModelPool::unload(Lock& lock, PooledModel& model) {
  std::shared_ptr<ServedModel> going = std::move(model.loaded);
  model.loaded.reset();
  model.unwanted = model.leaving = false;
  lock.unlock();
  going.reset();  // joins its engine's thread, frees its weights
  malloc_trim(0);
  lock.lock();
}

void ModelPool::drop_those_who_left(Lock& lock) {
  std::vector<Waiter> gone;
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    if (at->waiter.left && at->waiter.left()) {
      gone.push_back(std::move(at->waiter));
      at = waiting_.erase(at);
    } else {
      ++at;
    }
  }
  if (gone.empty()) return;
  lock.unlock();
  for (const Waiter& waiter : gone) waiter.then(Error{ErrorCode::kCancelled, "the client left"});
  gone.clear();
  lock.lock();
}

void ModelPool::tell_news(Lock& lock) {
  std::vector<std::pair<std::function<void(const std::string&)>, std::string>> all;
  for (const Waiting& waiting : waiting_)
    if (waiting.waiter.news) all.emplace_back(waiting.waiter.news, news_of(waiting));
  lock.unlock();
  for (const auto& [tell, news] : all) tell(news);
  all.clear();
  lock.lock();
}

std::string ModelPool::news_of(const Waiting& waiting) const {
  const PooledModel& model = *waiting.model;
  if (model.loading) return fmt::format("loading model={} done={:.0f}%", model.id, model.progress * 100);
  for (const auto& other : models_) {
    if (other->leaving && other.get() != &model)
      return fmt::format("waiting model={} until={} running={}", model.id, other->id, other->uses);
  }
  return fmt::format("waiting model={}", model.id);
}

void ModelPool::fail(Lock& lock, const PooledModel* model, const Error& error) {
  std::vector<Waiter> failed;
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    if (model == nullptr || at->model == model) {
      failed.push_back(std::move(at->waiter));
      at = waiting_.erase(at);
    } else {
      ++at;
    }
  }
  lock.unlock();
  for (const Waiter& waiter : failed) waiter.then(error);
  failed.clear();
  lock.lock();
}

}  // namespace deepwell
