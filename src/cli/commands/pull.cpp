// SPDX-License-Identifier: Apache-2.0
// deepwell pull: fetches a model into the store.
#include <fmt/format.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/human.h"
#include "cli/command.h"
#include "cli/pull_display.h"
#include "cli/stop_signals.h"
#include "store/store.h"

namespace deepwell {
namespace {

struct Flags {
  std::string name;
  bool json = false, quiet = false;
};

int pull(const Flags& flags) {
  listen_for_stop();
  const PullStyle style = flags.json                ? PullStyle::kJson
                          : flags.quiet             ? PullStyle::kQuiet
                          : ::isatty(STDERR_FILENO) ? PullStyle::kBar
                                                    : PullStyle::kLines;
  PullDisplay display(style);
  PullOptions options;
  options.progress = [&](const PullProgress& now) {
    display.show(now);
    return !stop_asked();
  };
  const auto model = pull_model(flags.name, options);
  display.end();
  if (!model.ok()) {
    const bool stopped = model.error().code == ErrorCode::kCancelled;
    const std::string message =
        stopped ? "stopped; run the same command again to go on where it stopped" : model.error().message;
    if (flags.json)
      std::cout << nlohmann::ordered_json{{"event", "error"}, {"message", message}}.dump(
                       -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
                << std::endl;
    std::cerr << "deepwell: " << message << '\n';
    return 1;
  }
  if (flags.json)
    std::cout << nlohmann::ordered_json{{"event", "done"},
                                        {"name", model->name},
                                        {"path", model->path},
                                        {"bytes", model->bytes},
                                        {"quant", model->quant}}
                     .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
              << std::endl;
  else if (flags.quiet)
    std::cout << model->path << std::endl;
  else
    std::cout << fmt::format("{} ({}) is at {}\n", printable(model->name), human_bytes(model->bytes),
                             printable(model->path))
              << std::flush;
  return 0;
}

}  // namespace

Command command_commands_pull() {
  return {[](CLI::App& app) -> std::function<int()> {
    auto flags = std::make_shared<Flags>();
    CLI::App* sub = app.add_subcommand("pull", "Fetch a model into the store");
    sub->add_option("NAME", flags->name,
                    "default, hf.co/OWNER/REPO[:QUANT] or modelscope.cn/OWNER/REPO[:QUANT]")
        ->required();
    sub->add_flag("--json", flags->json, "Events as lines of JSON on stdout");
    sub->add_flag("--quiet,-q", flags->quiet, "No progress; print the path only");
    sub->footer(
        "Without QUANT, Q4_K_M is taken, or what is nearest; where there is no GGUF, the checkpoint in "
        "safetensors\n"
        "(also :SAFETENSORS). A pull that was stopped goes on where it "
        "stopped.\n"
        "Environment: HF_ENDPOINT, HF_TOKEN, HF_HUB_CACHE, HF_HUB_OFFLINE, MODELSCOPE_ENDPOINT, "
        "HTTPS_PROXY,\n"
        "SSL_CERT_FILE; DEEPWELL_PYTHON names the python3 whose pip fetches 'default'.\n"
        "\n"
        "Examples:\n"
        "  deepwell pull default\n"
        "  deepwell pull hf.co/bartowski/SmolLM2-1.7B-Instruct-GGUF:Q8_0\n"
        "  HF_ENDPOINT=https://hf-mirror.com deepwell pull hf.co/unsloth/DeepSeek-R1-Distill-Qwen-1.5B-GGUF");
    return [flags] { return pull(*flags); };
  }};
}

}  // namespace deepwell
