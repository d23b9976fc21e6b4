// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/run/fit_estimate.h"

namespace deepwell {

std::string fit_as_table(const FitNeeds& needs, const FitMachine& machine);
std::string fit_as_json(const FitNeeds& needs, const FitMachine& machine);

}  // namespace deepwell
