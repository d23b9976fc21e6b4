// SPDX-License-Identifier: Apache-2.0
#include "server/app/inner_exchange.h"

#include <utility>

namespace deepwell {

void InnerExchange::give_up() {
  std::function<void()> gone;
  {
    const std::lock_guard lock(mutex_);
    given_up_ = true;
    gone = std::exchange(gone_, nullptr);
  }
  if (gone) gone();
}

void InnerExchange::on_disconnect(std::function<void()> gone) {
  {
    const std::lock_guard lock(mutex_);
    if (!given_up_) {
      gone_ = std::move(gone);
      return;
    }
  }
  gone();
}

bool InnerExchange::disconnected() const {
  const std::lock_guard lock(mutex_);
  return given_up_;
}

void InnerExchange::settle(int status, std::string body) {
  Done done;
  {
    const std::lock_guard lock(mutex_);
    done = std::exchange(done_, nullptr);
    gone_ = nullptr;
  }
  if (done) done(status, std::move(body));
}

}  // namespace deepwell
