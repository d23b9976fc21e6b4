// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"

namespace deepwell {

/// Which tokens a sequence may go on with. The engine asks before every draw and tells what was drawn; one
/// thread at a time, and quickly: everybody else's next token waits. An error ends the request with kError.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;
  /// Any token may come next, so that the mask need not be asked for.
  virtual bool allows_all() const { return false; }
  /// Sets the bit of every token that may come next (token t: bit t % 32 of word t / 32), clears the others.
  virtual Status mask(std::span<std::uint32_t> allowed) = 0;
  virtual Status accept(std::int32_t token) = 0;
  /// Nothing may follow: the request ends with kStop.
  virtual bool finished() const = 0;
};

}  // namespace deepwell
