// SPDX-License-Identifier: Apache-2.0
// The handler's side of an answer; private to net/http.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "net/http/exchange.h"
#include "net/http/server.h"

namespace deepwell::http {

/// What the handler's side of an exchange may ask of the connection's side, and the other way round.
struct ExchangeState {
  std::mutex mutex;
  bool gone = false;
  bool over = false;
  std::function<void()> on_gone;
  std::function<void(int, std::size_t)> on_complete;
  int status = 0;
  std::size_t bytes = 0;
  std::atomic<std::size_t> unsent{0};
  std::atomic<bool> lost{false};  ///< a part of the answer found no memory: it cannot go on
  std::string origin;
  bool head_only = false, keep_alive = false, chunks_allowed = true;
  std::string held_head;   ///< goes out when the answer is late; "" otherwise
  bool committed = false;  ///< it went out
  std::string keep_alive_bytes;

  void leave() {
    std::function<void()> call;
    {
      const std::lock_guard lock(mutex);
      if (gone || over) return;
      gone = true;
      call = std::move(on_gone);
      on_gone = nullptr;
    }
    if (call) call();
  }
  void complete() {
    std::function<void(int, std::size_t)> call;
    std::function<void()> drop;
    {
      const std::lock_guard lock(mutex);
      if (over) return;
      over = true;
      call = std::move(on_complete);
      drop = std::move(on_gone);
      on_complete = nullptr;
      on_gone = nullptr;
    }
    if (call) call(status, bytes);
  }
};

/// Where an exchange's bytes go: its connection. Any thread may call.
class AnswerLine {
 public:
  virtual ~AnswerLine() = default;
  /// `last`: the answer is whole with these; `streaming`: it is one that comes in pieces.
  virtual void append(std::string bytes, std::shared_ptr<ExchangeState> of, bool last, bool streaming) = 0;
  virtual const ServerOptions& options() const = 0;
  virtual bool stopping() const = 0;
};

std::shared_ptr<Exchange> make_live_exchange(std::shared_ptr<AnswerLine> line,
                                             std::shared_ptr<ExchangeState> state, Request request);

}  // namespace deepwell::http
