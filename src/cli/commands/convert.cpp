// SPDX-License-Identifier: Apache-2.0
// deepwell convert: a checkpoint's directory (or a GGUF) as a GGUF of a chosen precision.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

#include "base/cpu.h"
#include "base/human.h"
#include "base/new_file.h"
#include "cli/command.h"
#include "cli/pull_display.h"
#include "cli/stop_signals.h"
#include "engine/convert/convert.h"
#include "server/model/open_model.h"
#include "store/store.h"

namespace deepwell {
namespace {

namespace fs = std::filesystem;

struct Flags {
  std::string model, out, type = "keep";
  int threads = 0;
  bool force = false, quiet = false, with_mtp = false;
};

Result<const Quantizer*> wanted_type(const std::string& name) {
  if (name == "keep") return static_cast<const Quantizer*>(nullptr);
  if (const Quantizer* const found = find_quantizer(std::string_view(name))) return found;
  std::string known = "keep";
  for (const Quantizer& quantizer : all_quantizers())
    known += fmt::format(", {}", type_info(quantizer.type).name);
  return Error{ErrorCode::kInvalid,
               fmt::format("--type {}: no type to convert to; there are {}", printable(name, 40), known)};
}

Status write_file(const ModelFile& file, const ConversionPlan& plan, const Flags& flags,
                  PullDisplay& display) {
  DW_TRY(NewFile target, NewFile::create(flags.out, plan.file_bytes));
  ThreadPool pool(flags.threads > 0 ? flags.threads : physical_cores());
  PullProgress now;
  now.step = "converting";
  now.file = fs::path(flags.out).filename();
  now.total = plan.file_bytes;
  DW_RETURN_IF_ERROR(write_conversion(
      file, plan, pool, [&](std::span<const std::byte> bytes) { return target.append(bytes); },
      [&](std::int64_t bytes) {
        now.done = bytes;
        display.show(now);
        return !stop_asked();
      }));
  return target.commit();
}

Status convert(const Flags& flags) {
  DW_TRY(const Quantizer* const type, wanted_type(flags.type));
  std::error_code ignored;
  if (fs::exists(flags.out, ignored) && !flags.force)
    return Error{ErrorCode::kInvalid,
                 fmt::format("{}: is there already; choose another name, or --force to replace it",
                             printable(flags.out))};
  DW_TRY(const std::string path, resolve_model(flags.model));
  DW_TRY(const std::unique_ptr<ModelFile> file, open_model(path));
  DW_TRY(const ConversionPlan plan, plan_conversion(*file, type, flags.with_mtp));
  if (file->metadata().text("tokenizer.ggml.pre") == "default" &&
      file->metadata().has("deepwell.tokenizer.patterns"))
    std::cerr << "deepwell: the tokenizer splits text in a way that GGUF has no name for; other programs may "
                 "make other tokens of it\n";
  const PullStyle style = flags.quiet               ? PullStyle::kQuiet
                          : ::isatty(STDERR_FILENO) ? PullStyle::kBar
                                                    : PullStyle::kLines;
  listen_for_stop();
  PullDisplay display(style);
  const Status written = write_file(*file, plan, flags, display);
  display.end();
  DW_RETURN_IF_ERROR(written);
  std::cout << fmt::format("{}: {}, {} tensors\n", printable(flags.out), human_bytes(plan.file_bytes),
                           plan.tensors.size())
            << std::flush;
  return Done{};
}

}  // namespace

Command command_commands_convert() {
  return {[](CLI::App& app) -> std::function<int()> {
    auto flags = std::make_shared<Flags>();
    CLI::App* sub = app.add_subcommand("convert", "Write a model as a GGUF file of a chosen precision");
    sub->add_option(
           "MODEL", flags->model,
           "The directory of a Hugging Face checkpoint (config.json and .safetensors), a GGUF file, or a "
           "name in the store")
        ->required();
    sub->add_option("OUT", flags->out, "The file to write, NAME.gguf")->required();
    sub->add_option("--type", flags->type,
                    "keep, F32, F16, BF16, Q8_0, Q6_K, Q5_K, Q4_K, Q4_1, Q4_0 or MXFP4")
        ->capture_default_str();
    sub->add_option("-t,--threads", flags->threads, "Threads; 0: one per core")->check(CLI::Range(0, 1024));
    sub->add_flag("--with-mtp", flags->with_mtp,
                  "With V4's layer that drafts: for Deepwell alone, llama.cpp refuses such a file");
    sub->add_flag("--force", flags->force, "Replace OUT where it is there already");
    sub->add_flag("-q,--quiet", flags->quiet, "No progress");
    sub->footer(
        "A directory need not be converted to be run: `deepwell run DIR` does. Convert to save memory, or "
        "for\n"
        "other programs.\n\n"
        "  keep   every tensor as it is; FP8 becomes BF16, FP4 MXFP4, GPTQ and AWQ Q4_0 or Q4_1\n"
        "  Q8_0   half of BF16, no loss that shows        Q6_K   0.41 of BF16, hardly any\n"
        "  Q5_K   0.34 of BF16, little                    Q4_K   0.28 of BF16, some: the usual choice\n"
        "  MXFP4  0.27 of BF16: experts only, where there are any; the rest becomes Q8_0\n\n"
        "Vectors, routers and other small tensors that decide much stay in F32. The file appears under its "
        "name\n"
        "only when it is whole.\n\n"
        "Examples:\n"
        "  deepwell convert ./DeepSeek-R1-Distill-Qwen-1.5B r1.gguf --type Q4_K\n"
        "  deepwell convert ./DeepSeek-V2-Lite v2-lite.gguf --type Q8_0 && deepwell run v2-lite.gguf");
    return [flags] {
      const Status status = convert(*flags);
      if (status.ok()) return 0;
      const bool stopped = status.error().code == ErrorCode::kCancelled;
      std::cerr << "deepwell: " << (stopped ? "stopped; nothing was written" : status.error().message)
                << '\n';
      return 1;
    };
  }};
}

}  // namespace deepwell
