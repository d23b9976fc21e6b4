// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "server/model/served_model.h"

namespace deepwell {

class ModelPool;
struct PooledModel;

/// A loaded model that stays so as long as one of these lives.
class ModelUse {
 public:
  ModelUse(ModelUse&& other) noexcept;
  ModelUse& operator=(ModelUse&&) = delete;
  ~ModelUse();
  ServedModel& operator*() const;
  ServedModel* operator->() const { return &**this; }

 private:
  friend class ModelPool;
  ModelUse(ModelPool& pool, PooledModel& model) : pool_(&pool), model_(&model) {}
  ModelPool* pool_;
  PooledModel* model_;
};

/// How models come to be; a test has its own.
struct ModelSource {
  /// What a file's header says: the model, without `context` where it is unknown, and the memory it needs.
  struct Outline {
    EngineInfo info;
    std::int64_t bytes = 0;
  };
  using Made = std::shared_ptr<ServedModel>;
  std::function<Result<std::string>(const std::string& name)> find;  ///< the path of a model by its name
  std::function<Result<Outline>(const std::string& path)> outline;
  std::function<Result<Made>(const std::string& path, const std::string& id, const Engine::Progress&)> load;
  std::function<std::int64_t()> free_bytes;  ///< of memory; 0: unknown
  /// What a model found by `name` is called; nullptr: so.
  std::function<std::string(const std::string& name, const std::string& path)> id_of{};
};

struct ModelPoolOptions {
  std::int64_t bytes_max = 0;  ///< models together; 0: what is free
  double idle_seconds = -1;    ///< without a request, then a model is unloaded; -1: never
};

/// A model of the pool, as lists show it.
struct ModelState {
  enum class Kind { kUnloaded, kLoading, kLoaded, kLeaving };
  Kind kind = Kind::kUnloaded;
  std::string id, path;
  std::vector<std::string> aliases;
  EngineInfo info;         ///< of an unloaded one: what the file's header says
  std::int64_t bytes = 0;  ///< needed, as estimated
  std::int64_t created_unix_seconds = 0;
  bool chat = true, thinking = false;  ///< thinking: known once it is loaded
  double progress = 0;                 ///< of loading, 0 to 1
  int uses = 0, waiting = 0;
  std::optional<double> expires_seconds;  ///< until it is unloaded unless somebody asks
  std::string error;                      ///< why it could not be loaded when last tried
};
const char* name_of(ModelState::Kind kind);

/// The models a server answers with. They are loaded when somebody asks for them, unloaded when nobody does,
/// or when another needs their memory: those longest unused first, and one in use when its requests under way
/// have ended; those that come meanwhile wait for their turn. Nothing that waits is dropped. Thread-safe.
class ModelPool {
 public:
  using Clock = std::chrono::steady_clock;
  /// Somebody who wants a model. All may be called from the pool's thread.
  struct Waiter {
    std::function<void(Result<ModelUse>)> then;           ///< once; the model is loaded, or why not
    std::function<void(const std::string& news)> news{};  ///< about once a second until then
    std::function<bool()> left{};                         ///< no longer wants it
    std::optional<double> idle_seconds{};                 ///< instead of the options', until the next request
  };

  explicit ModelPool(ModelSource source = {}, ModelPoolOptions options = {});
  ~ModelPool();  ///< requires that no use is left; who waits hears kCancelled
  ModelPool(const ModelPool&) = delete;
  ModelPool& operator=(const ModelPool&) = delete;

  /// Errors: kInvalid (the name is taken), and what outline() says.
  Status add(const std::string& id, const std::string& path);
  void add_loaded(std::shared_ptr<ServedModel> model, const std::vector<std::string>& aliases = {});
  /// Makes a model known by a name for find(): its id is the one that it would have had from the start, and
  /// the name means it, too. A file that is known is not known twice. Errors: those of find() and add().
  Status know(const std::string& name);
  /// `name` means the model `of` (an id, an alias, or a name for find()) from now on; what it meant before is
  /// left to those who use it. Errors: kInvalid (a model is called so), kNotFound.
  Status alias(const std::string& name, const std::string& of);

  /// Gives the model at once, or later (false). "" is the first. Errors, by `then`: kNotFound (unknown), kIo.
  bool use(std::string_view name, Waiter waiter);
  /// Unloads a model when its requests have ended; true: at once. Those that come load it again.
  Result<bool> unload(std::string_view name);

  std::vector<ModelState> list() const;  ///< in the order in which they were added
  std::optional<ModelState> find(std::string_view name) const;
  std::vector<std::string> names() const;  ///< ids, then aliases
  /// Under a lock: be quick.
  void each_loaded(const std::function<void(const ServedModel&)>& visit) const;
  /// Ends the thread that loads; who waits hears kCancelled.
  void stop();

 private:
  friend class ModelUse;
  struct Waiting {
    PooledModel* model;
    Waiter waiter;
  };
  PooledModel* by_name(std::string_view name) const;  // with the lock held, as all below
  ModelState state_of(const PooledModel& model) const;
  ModelUse grant(PooledModel& model, const std::optional<double>& idle_seconds);
  void give_back(PooledModel& model);

  // The pool's thread; the lock is let go while models come and go.
  using Lock = std::unique_lock<std::mutex>;
  void run();
  bool step(Lock& lock);
  bool grant_loaded(Lock& lock);
  bool make_room(Lock& lock, PooledModel& wanted);
  void load(Lock& lock, PooledModel& model);
  void unload(Lock& lock, PooledModel& model);
  void drop_those_who_left(Lock& lock);
  void tell_news(Lock& lock);
  std::string news_of(const Waiting& waiting) const;
  void fail(Lock& lock, const PooledModel* model, const Error& error);  // nullptr: all

  const ModelSource source_;
  const ModelPoolOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<PooledModel>> models_;          // never removed: those named elsewhere stay
  std::map<std::string, PooledModel*, std::less<>> by_name_;  // ids and aliases
  std::deque<Waiting> waiting_;                               // in the order in which they came
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace deepwell
