// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/http/message.h"

namespace deepwell::http {

/// One request and the way to answer it: either reply() once, or begin_stream(), send()..., end().
/// Every function may be called from any thread; what comes after the end is ignored. Letting go of an
/// exchange that was never answered answers 500; of an unfinished stream, cuts it off.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const Request& request() const = 0;
  virtual Request& request() = 0;

  virtual void reply(Response response) = 0;
  /// The answer will take its time. When reply() has not come after a while, this head goes out with an empty
  /// line, and more of these now and then, so that neither client nor proxy takes the silence for death; what
  /// reply() brings then is its body alone. A failure's (400 and up) is sent, too, but the answer then ends
  /// without its end and the connection closes: no client may take it for the success that the head was. For
  /// JSON, where empty lines are nothing.
  virtual void hold(Response head) = 0;

  /// Sends the head at once (the body of `head` is ignored). From then on a comment goes out whenever
  /// nothing else did for a while if the content is text/event-stream.
  virtual void begin_stream(Response head) = 0;
  virtual void send(std::string bytes) = 0;
  virtual void end() = 0;

  /// `gone` is called once if the client leaves before the answer is complete (at once if it already has).
  /// It must not keep the exchange alive by itself: hold a weak pointer.
  virtual void on_disconnect(std::function<void()> gone) = 0;
  virtual bool disconnected() const = 0;
  virtual bool streaming() const = 0;  ///< begin_stream was called

  /// Called once when the answer is complete or given up, with the status sent (0: none) and body bytes.
  virtual void on_complete(std::function<void(int status, std::size_t bytes)> done) = 0;
};

using Handler = std::function<void(std::shared_ptr<Exchange>)>;

/// "data: ...\n\n", one "data:" line for each line of `data`.
std::string sse_event(std::string_view data);
/// The same of a kind: "event: NAME" before it. `name` has no line end.
std::string sse_event(std::string_view name, std::string_view data);

}  // namespace deepwell::http
