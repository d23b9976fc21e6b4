// SPDX-License-Identifier: Apache-2.0
// deepwell serve: models over HTTP, for OpenAI's clients and a browser.
#include "server/serve/serve.h"

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "cli/command.h"

namespace deepwell {
namespace {

struct Flags {
  std::string config;
  std::map<std::string, std::vector<std::string>> values;
  std::map<std::string, bool> switches;
};

std::optional<std::string> from_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

int run(const CLI::App& sub, const Flags& flags) {
  GivenSettings given;
  for (const SettingSpec& spec : serve_settings()) {
    const std::string option = spec.help[0] == '\0' ? "MODEL" : std::string("--") + spec.name;
    if (sub.count(option) == 0) continue;
    const bool is_switch = spec.kind == SettingSpec::Kind::kSwitch;
    given[spec.name] = is_switch ? std::vector<std::string>{"true"} : flags.values.at(spec.name);
  }
  std::string config = flags.config;
  if (config.empty()) config = from_environment("DEEPWELL_CONFIG").value_or("");
  const Result<ServeSettings> settings = resolve_serve_settings(given, from_environment, config);
  if (!settings) {
    std::fprintf(stderr, "deepwell: %s\n", settings.error().message.c_str());
    return 2;
  }
  if (settings->models.empty()) {
    std::fprintf(stderr, "deepwell: name a model to serve, for example: deepwell serve default\n");
    return 2;
  }
  return serve(*settings);
}

}  // namespace

Command command_commands_serve() {
  return {[](CLI::App& app) -> std::function<int()> {
    CLI::App* sub = app.add_subcommand("serve", "Answer over HTTP: OpenAI's API and a chat page");
    auto flags = std::make_shared<Flags>();
    for (const SettingSpec& spec : serve_settings()) {
      if (spec.help[0] == '\0') {
        sub->add_option("MODEL", flags->values[spec.name], "Model files, directories or names in the store")
            ->type_name("")
            ->default_str("");
      } else if (spec.kind == SettingSpec::Kind::kSwitch) {
        sub->add_flag(std::string("--") + spec.name, flags->switches[spec.name], spec.help);
      } else {
        CLI::Option* option =
            sub->add_option(std::string("--") + spec.name, flags->values[spec.name], spec.help);
        option->type_name(spec.value_name);
        option->default_str("");  // the help texts name them; where nothing is given the file may
        option->expected(1);
        option->multi_option_policy(spec.kind == SettingSpec::Kind::kMany ? CLI::MultiOptionPolicy::TakeAll
                                                                          : CLI::MultiOptionPolicy::TakeLast);
      }
    }
    sub->add_option("--config", flags->config, "Settings in TOML: the flags' names with _ for -, and models")
        ->type_name("FILE");
    sub->footer(
        "Flags win over the environment (DEEPWELL_PORT, ...), which wins over the file.\n"
        "Examples:\n"
        "  deepwell serve default\n"
        "  deepwell serve model.gguf --host 0.0.0.0 --api-key-file keys.txt");
    return [sub, flags] { return run(*sub, *flags); };
  }};
}

}  // namespace deepwell
