// SPDX-License-Identifier: Apache-2.0
#include "server/app/embed.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "server/app/answer.h"
#include "server/model/prompt.h"

namespace deepwell {
namespace {

/// Inputs with the engine at a time: enough to fill its steps, few enough to leave others their turn.
constexpr std::size_t kInputsAtOnce = 8;

void shorten(std::vector<float>& vector, std::int64_t dimensions) {
  if (dimensions > 0) vector.resize(std::min(vector.size(), static_cast<std::size_t>(dimensions)));
}

void normalize(std::vector<float>& vector) {
  double sum = 0;
  for (const float x : vector) sum += double{x} * double{x};
  if (!(sum > 0)) return;
  const double scale = 1 / std::sqrt(sum);
  for (float& x : vector) x = static_cast<float>(x * scale);
}

/// All inputs of one request. Kept alive by the engine's sinks.
class Embedding : public std::enable_shared_from_this<Embedding> {
 public:
  Embedding(const Call& call, EmbeddingRequest request, ModelUse model,
            std::vector<std::vector<Token>> inputs, WriteEmbeddings write)
      : call_(call),
        busy_(call.service),
        request_(std::move(request)),
        use_(std::move(model)),
        model_(*use_),
        inputs_(std::move(inputs)),
        write_(std::move(write)) {
    made_.model = request_.model.empty() ? model_.id : request_.model;
    made_.vectors.resize(inputs_.size());
    for (const auto& input : inputs_) made_.prompt_tokens += static_cast<std::int64_t>(input.size());
  }

  void start() {
    for (std::size_t i = 0; i < std::min(kInputsAtOnce, inputs_.size()); ++i) {
      if (const auto refusal = submit_next(call_.admitted || i > 0)) return end(*refusal);
      if (i == 0) call_.exchange->hold({.content_type = "application/json"});
    }
    call_.exchange->on_disconnect([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->cancel();
    });
  }

  // From the engine's thread.
  void take(std::size_t input, std::vector<float> vector) {
    shorten(vector, request_.dimensions);
    if (request_.normalized) normalize(vector);
    made_.vectors[input] = std::move(vector);
  }
  void finish(const FinishInfo& info) {
    if (info.reason != FinishReason::kStop) {
      ApiError error;
      error.status = info.reason == FinishReason::kError ? 500 : 503;
      error.type = "server_error";
      error.code = info.reason == FinishReason::kError ? "engine_error" : "cancelled";
      error.message = info.error.empty() ? "the request was cancelled before it was complete" : info.error;
      return end(error);
    }
    bool complete = false;
    {
      const std::lock_guard lock(mutex_);
      complete = ++finished_ == inputs_.size();
    }
    if (complete) return end(std::nullopt);
    if (const auto refusal = submit_next(/*admitted=*/true)) end(*refusal);
  }

 private:
  std::optional<ApiError> submit_next(bool admitted);
  void cancel() {
    std::vector<std::uint64_t> ids;
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
      ids = ids_;
    }
    for (const std::uint64_t id : ids) model_.engine->cancel(id);
  }
  void end(const std::optional<ApiError>& failure) {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(ended_, true)) return;
    }
    {
      const std::lock_guard lock(call_.log->mutex);
      call_.log->model = model_.id;
      call_.log->prompt_tokens = made_.prompt_tokens;
      call_.log->finish = failure ? failure->code : "stop";
    }
    if (failure) {
      cancel();
      return call_.reply_error(*failure);
    }
    made_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - call_.arrived).count();
    call_.reply_json(write_(request_, made_));
  }

  Call call_;
  Service::Busy busy_;
  const EmbeddingRequest request_;
  const ModelUse use_;
  ServedModel& model_;
  std::vector<std::vector<Token>> inputs_;
  WriteEmbeddings write_;
  Embeddings made_;

  std::mutex mutex_;
  std::vector<std::uint64_t> ids_;
  std::size_t next_ = 0, finished_ = 0;
  bool over_ = false, ended_ = false;
};

class InputSink final : public TokenSink {
 public:
  InputSink(std::shared_ptr<Embedding> embedding, std::size_t input)
      : embedding_(std::move(embedding)), input_(input) {}
  bool on_token(const TokenOutput& /*output*/) override { return true; }
  void on_embedding(std::vector<float> vector) override { embedding_->take(input_, std::move(vector)); }
  void on_finish(const FinishInfo& info) override { embedding_->finish(info); }

 private:
  std::shared_ptr<Embedding> embedding_;
  std::size_t input_;
};

std::optional<ApiError> Embedding::submit_next(bool admitted) {
  std::size_t input = 0;
  {
    const std::lock_guard lock(mutex_);
    if (over_ || next_ == inputs_.size()) return std::nullopt;
    input = next_++;
  }
  EngineRequest request;
  request.prompt = std::move(inputs_[input]);
  request.pooling = request_.pooling.value_or(model_.pooling);
  request.account = call_.user;
  if (!call_.service.shares_prefixes()) request.prefix_space = call_.user;
  request.admitted = admitted;
  request.priority = call_.priority;
  const Result<std::uint64_t> id =
      model_.engine->submit(std::move(request), std::make_shared<InputSink>(shared_from_this(), input));
  if (!id) return refusal_of(call_, model_, id.error());
  bool over = false;
  {
    const std::lock_guard lock(mutex_);
    ids_.push_back(*id);
    over = over_;
  }
  if (over) model_.engine->cancel(*id);
  return std::nullopt;
}

ApiResult<std::vector<std::vector<Token>>> encode_inputs(const EmbeddingRequest& request,
                                                         const ServedModel& model) {
  const EngineInfo& info = model.engine->info();
  std::vector<std::vector<Token>> inputs;
  for (const Request::RawPrompt& input : request.inputs) {
    const auto* text = std::get_if<std::string>(&input);
    std::vector<Token> tokens =
        text != nullptr ? encode_raw(*model.tokenizer, *text) : std::get<std::vector<Token>>(input);
    if (request.truncate && static_cast<std::int64_t>(tokens.size()) >= info.context)
      tokens.resize(static_cast<std::size_t>(info.context - 1));
    if (const auto wrong = wrong_prompt(tokens, model, "input")) return *wrong;
    inputs.push_back(std::move(tokens));
  }
  if (request.dimensions > info.width) {
    return invalid_field("dimensions",
                         fmt::format("'dimensions' must be at most {}, what this model has", info.width));
  }
  return inputs;
}

}  // namespace

std::string json_list(const std::vector<float>& vector) {
  std::string out = "[";
  for (const float x : vector) {
    if (out.size() > 1) out += ',';
    out += std::isfinite(x) ? fmt::format("{}", x) : "null";
  }
  return out + "]";
}

void embed(const Call& call, EmbeddingRequest request, WriteEmbeddings write) {
  const ModelWish wish{request.model, "", request.idle_seconds};  // before the request moves away
  with_model(call, wish,
             [call, request = std::move(request), write = std::move(write)](ModelUse model) mutable {
               ApiResult<std::vector<std::vector<Token>>> inputs = encode_inputs(request, *model);
               if (!inputs) return call.reply_error(inputs.error());
               std::make_shared<Embedding>(call, std::move(request), std::move(model), std::move(*inputs),
                                           std::move(write))
                   ->start();
             });
}

}  // namespace deepwell
