// SPDX-License-Identifier: Apache-2.0
// deepwell list: the models in the store.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/human.h"
#include "cli/command.h"
#include "store/store.h"

namespace deepwell {
namespace {

std::string age(std::int64_t then) {
  const std::int64_t seconds = std::max<std::int64_t>(0, std::time(nullptr) - then);
  if (seconds >= 2 * 86400) return fmt::format("{} days ago", seconds / 86400);
  if (seconds >= 2 * 3600) return fmt::format("{} hours ago", seconds / 3600);
  if (seconds >= 2 * 60) return fmt::format("{} minutes ago", seconds / 60);
  return "just now";
}

void print_table(const std::vector<StoredModel>& models) {
  std::size_t width = 4;
  for (const StoredModel& model : models) width = std::max(width, model.name.size());
  std::cout << fmt::format("{:<{}}  {:>8}  {:<10}  {}\n", "NAME", width, "SIZE", "QUANT", "FETCHED");
  for (const StoredModel& model : models)
    std::cout << fmt::format("{:<{}}  {:>8}  {:<10}  {}\n", printable(model.name), width,
                             human_bytes(model.bytes), model.quant.empty() ? "?" : model.quant,
                             age(model.modified));
}

void print_json(const std::vector<StoredModel>& models) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const StoredModel& model : models)
    json.push_back({{"name", model.name},
                    {"path", model.path},
                    {"bytes", model.bytes},
                    {"quant", model.quant},
                    {"parts", model.parts},
                    {"modified", model.modified}});
  std::cout << json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
}

struct Flags {
  bool json = false, quiet = false;
};

int list(const Flags& flags) {
  const auto models = list_models();
  if (!models.ok()) {
    std::cerr << "deepwell: " << models.error().message << '\n';
    return 1;
  }
  if (flags.json)
    print_json(*models);
  else if (flags.quiet)
    for (const StoredModel& model : *models) std::cout << printable(model.name) << '\n';
  else if (models->empty())
    std::cerr << "no models yet; `deepwell pull default` fetches a small one\n";
  else
    print_table(*models);
  std::cout << std::flush;
  return std::cout ? 0 : 1;
}

}  // namespace

Command command_commands_list() {
  return {[](CLI::App& app) -> std::function<int()> {
    auto flags = std::make_shared<Flags>();
    CLI::App* sub = app.add_subcommand("list", "List the models in the store");
    sub->add_flag("--json", flags->json, "One JSON array");
    sub->add_flag("--quiet,-q", flags->quiet, "Names only");
    sub->footer(
        "The store is the Hugging Face cache: HF_HUB_CACHE, HF_HOME/hub or ~/.cache/huggingface/hub.");
    return [flags] { return list(*flags); };
  }};
}

}  // namespace deepwell
