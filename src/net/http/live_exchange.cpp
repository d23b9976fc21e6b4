// SPDX-License-Identifier: Apache-2.0
#include "net/http/live_exchange.h"

#include <new>
#include <utility>

#include "net/http/wire.h"

namespace deepwell::http {
namespace {

class LiveExchange final : public Exchange {
 public:
  LiveExchange(std::shared_ptr<AnswerLine> line, std::shared_ptr<ExchangeState> state, Request request)
      : line_(std::move(line)), state_(std::move(state)), request_(std::move(request)) {}
  ~LiveExchange() override {
    if (ended_.load()) return;
    if (begun_.load()) {
      cut_off();
      return;
    }
    reply({.status = 500, .body = "the request was dropped without an answer\n"});
  }

  const Request& request() const override { return request_; }
  Request& request() override { return request_; }

  void reply(Response response) override {
    if (begun_.load() || ended_.exchange(true)) return;
    within_memory([&] { send_whole(response); });
  }
  void hold(Response head) override {
    if (begun_.load() || ended_.load() || !state_->chunks_allowed || state_->head_only) return;
    within_memory([&] {
      const bool keep = state_->keep_alive && !line_->stopping();
      std::string bytes = head_bytes(head, Framing::kChunked, keep, cors());
      {
        const std::lock_guard lock(state_->mutex);
        state_->held_head = std::move(bytes);
      }
      line_->append("", state_, false, false);  // wakes it, to see when
    });
  }
  void begin_stream(Response head) override {
    if (ended_.load() || begun_.exchange(true)) return;
    const bool chunks = state_->chunks_allowed;
    const bool keep = chunks && state_->keep_alive && !line_->stopping();
    note(head.status, 0);
    within_memory([&] {
      if (head.content_type.starts_with("text/event-stream")) {
        const std::lock_guard lock(state_->mutex);
        state_->keep_alive_bytes = ": keep-alive\n\n";
      }
      line_->append(head_bytes(head, chunks ? Framing::kChunked : Framing::kUntilClose, keep, cors()), state_,
                    false, true);
    });
  }
  void send(std::string bytes) override {
    if (!begun_.load() || ended_.load() || bytes.empty()) return;
    note(0, bytes.size());
    within_memory([&] {
      line_->append(state_->chunks_allowed ? chunk(bytes) : std::move(bytes), state_, false, true);
    });
  }
  void end() override {
    if (!begun_.load() || ended_.exchange(true)) return;
    within_memory([&] { line_->append(state_->chunks_allowed ? "0\r\n\r\n" : "", state_, true, true); });
  }
  void on_disconnect(std::function<void()> gone) override {
    bool now = false;
    {
      const std::lock_guard lock(state_->mutex);
      if (state_->over) return;
      now = state_->gone;
      if (!now) state_->on_gone = std::move(gone);
    }
    if (now) gone();
  }
  bool disconnected() const override {
    const std::lock_guard lock(state_->mutex);
    return state_->gone;
  }
  bool streaming() const override { return begun_.load(); }
  void on_complete(std::function<void(int, std::size_t)> done) override {
    const std::lock_guard lock(state_->mutex);
    if (!state_->over) state_->on_complete = std::move(done);
  }

 private:
  /// An answer that misses a part must not look like one that does not: the connection closes.
  template <class Work>
  void within_memory(Work work) {
    if (state_->lost) return;
    try {
      work();
    } catch (const std::bad_alloc&) {
      state_->lost = true;
    }
  }
  void cut_off() {
    state_->lost = true;
    try {
      line_->append("", state_, false, true);  // wakes it, to see that
    } catch (const std::bad_alloc&) {          // then it looks by itself, a little later
    }
  }
  void send_whole(const Response& response) {
    bool committed = false;
    {
      const std::lock_guard lock(state_->mutex);
      committed = state_->committed;
      state_->held_head.clear();
    }
    note(response.status, response.body.size());
    if (committed) {  // too late for a head
      const bool failed = response.status >= 400;
      if (failed) state_->keep_alive = false;
      return line_->append(chunk(response.body) + (failed ? "" : "0\r\n\r\n"), state_, true, true);
    }
    const bool keep = state_->keep_alive && !line_->stopping();
    std::string bytes = head_bytes(response, Framing::kLength, keep, cors());
    if (!state_->head_only && response.status != 204) bytes += response.body;
    line_->append(std::move(bytes), state_, true, false);
  }
  std::vector<Header> cors() const { return cors_headers(line_->options().cors_origins, state_->origin); }
  void note(int status, std::size_t bytes) {
    const std::lock_guard lock(state_->mutex);
    if (status != 0) state_->status = status;
    state_->bytes += bytes;
  }

  std::shared_ptr<AnswerLine> line_;
  std::shared_ptr<ExchangeState> state_;
  Request request_;
  std::atomic<bool> begun_{false}, ended_{false};
};

}  // namespace

std::shared_ptr<Exchange> make_live_exchange(std::shared_ptr<AnswerLine> line,
                                             std::shared_ptr<ExchangeState> state, Request request) {
  return std::make_shared<LiveExchange>(std::move(line), std::move(state), std::move(request));
}

}  // namespace deepwell::http
