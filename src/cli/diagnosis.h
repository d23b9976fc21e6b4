// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/machine.h"

namespace deepwell {

enum class Health { kGood, kSlow, kBroken };  ///< kSlow: works, but not as well as it could

std::string_view health_name(Health health);  ///< "ok", "warning", "problem"

struct Finding {
  std::string name;   ///< a stable word for scripts: "cpu", "memory", ...
  std::string value;  ///< what was found
  Health health = Health::kGood;
  std::string advice;  ///< what to do; "" when kGood
};

/// Judges each part of the machine, in a fixed order.
std::vector<Finding> diagnose(const Machine& machine);

Health worst(const std::vector<Finding>& findings);

/// Lines for a person, and one JSON object for a script:
/// {"status":"ok","checks":[{"name":"cpu","status":"ok","value":"...","advice":""},...]}
std::string findings_table(const std::vector<Finding>& findings);
std::string findings_json(const std::vector<Finding>& findings);

}  // namespace deepwell
