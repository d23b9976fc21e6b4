// SPDX-License-Identifier: Apache-2.0
// deepwell inspect: what a model file holds, from its header alone.
#include <iostream>
#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/model_report.h"
#include "engine/formats/model_file.h"
#include "server/model/open_model.h"
#include "store/store.h"

namespace deepwell {
namespace {

struct Flags {
  std::string model;
  bool json = false, metadata = false, tensors = false;
};

int fail(const Error& error) {
  std::cerr << "deepwell: " << error.message << '\n';
  return 1;
}

int inspect(const Flags& flags) {
  const auto path = resolve_model(flags.model);
  if (!path.ok()) return fail(path.error());
  const auto file = open_model(*path);
  if (!file.ok()) return fail(file.error());
  const ModelReport report = report_on(**file);
  if (flags.json) {
    std::cout << report_as_json(report, **file, flags.metadata, flags.tensors) << '\n';
  } else {
    std::cout << report_as_table(report);
    if (flags.metadata) std::cout << '\n' << metadata_as_table((*file)->metadata());
    if (flags.tensors) std::cout << '\n' << tensors_as_table(**file);
  }
  std::cout << std::flush;
  return std::cout ? 0 : 1;
}

}  // namespace

Command command_commands_inspect() {
  return {[](CLI::App& app) -> std::function<int()> {
    auto flags = std::make_shared<Flags>();
    CLI::App* sub = app.add_subcommand("inspect", "Show what a model file holds");
    sub->add_option("MODEL", flags->model, "A GGUF file, a checkpoint's directory, or a name in the store")
        ->required();
    sub->add_flag("--json", flags->json, "One JSON object");
    sub->add_flag("--metadata", flags->metadata, "Also every metadata key");
    sub->add_flag("--tensors", flags->tensors, "Also every tensor: name, type, shape, size");
    sub->footer(
        "Examples:\n"
        "  deepwell inspect default\n"
        "  deepwell inspect model.gguf --tensors\n"
        "  deepwell inspect model.gguf --json --metadata | jq .metadata");
    return [flags] { return inspect(*flags); };
  }};
}

}  // namespace deepwell
