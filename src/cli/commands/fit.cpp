// SPDX-License-Identifier: Apache-2.0
// deepwell fit: will this model run here, and how fast at most, from its header alone.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>

#include "base/cpu.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/fit_report.h"
#include "cli/known_models.h"
#include "cli/machine.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/run/describe.h"
#include "engine/run/machine_peak.h"
#include "store/store.h"

namespace deepwell {
namespace {

struct Flags {
  std::string model, type, cache_type = "f16", draft = "auto";
  FitRequest request;
  FitMachine machine;
  std::uint64_t ram = 0;
  bool json = false;
};

/// What may be taken here: what the system can give, within a container's limit.
std::int64_t memory_here() {
  const Machine machine = read_machine("", false, 0);
  return std::min(available_memory_bytes(), machine.memory_bytes);
}

Result<FitMachine> complete(const Flags& flags, bool speed) {
  FitMachine machine = flags.machine;
  machine.memory_bytes =
      flags.ram > 0 ? static_cast<std::int64_t>(std::min<std::uint64_t>(flags.ram, std::uint64_t{1} << 62))
                    : memory_here();
  if (machine.memory_bytes <= 0)
    return Error{
        ErrorCode::kUnsupported,
        "this system does not say how much memory is available; say it with --ram, as in --ram 16GB"};
  if (!speed || (machine.read_gb_per_second > 0 && machine.int8_gops > 0)) return machine;
  ThreadPool pool(machine.threads > 0 ? machine.threads : physical_cores());
  const MachinePeak peak = measure_peak(pool);
  machine.threads = pool.threads();
  machine.measured = true;
  if (machine.read_gb_per_second <= 0) machine.read_gb_per_second = peak.read_gb_per_second;
  if (machine.int8_gops <= 0) machine.int8_gops = peak.int8_gops;
  // The probe of memory takes half a gigabyte itself; a machine that lacks it is not worth asking twice.
  if (machine.read_gb_per_second <= 0)
    return Error{ErrorCode::kUnsupported,
                 "too little memory to measure how fast it is; say it with --bandwidth, in GB/s"};
  return machine;
}

/// What is here under that name; else, or when a type is given, a released model's shapes.
Result<std::unique_ptr<ModelFile>> open_header(const Flags& flags) {
  if (!flags.type.empty()) return known_model(flags.model, flags.type);
  const auto path = resolve_model(flags.model);
  if (path.ok()) return open_weights(*path);
  if (path.error().code == ErrorCode::kNotFound)
    if (auto known = known_model(flags.model, "Q4_K_M"); known.ok()) return known;
  return path.error();
}

Result<bool> fit(Flags flags) {
  flags.request.cache_type = *parse_cache_type(flags.cache_type);  // one of the names, by its check
  flags.request.drafting = flags.draft == "auto" || flags.draft == "mtp";
  DW_TRY(const std::unique_ptr<ModelFile> file, open_header(flags));
  DW_TRY(const FitNeeds needs, count_needs(*file, flags.request));
  DW_TRY(const FitMachine machine, complete(flags, !needs.weights_only));
  if (flags.json)
    std::cout << fit_as_json(needs, machine) << '\n';
  else
    std::cout << fit_as_table(needs, machine);
  std::cout << std::flush;
  return judge(needs, machine.memory_bytes).kind == FitVerdict::Kind::kFits && std::cout;
}

}  // namespace

Command command_commands_fit() {
  return {[](CLI::App& app) -> std::function<int()> {
    auto flags = std::make_shared<Flags>();
    CLI::App* sub = app.add_subcommand("fit", "Will a model run here, and how fast");
    sub->add_option("MODEL", flags->model,
                    "A GGUF file, a checkpoint's directory, a name in the store, or a released model's name")
        ->required();
    sub->add_option(
        "--type", flags->type,
        "Of a released model whose file is not here: its weights' type, as Q4_K_M, Q8_0 or F8_E4M3");
    sub->add_option("-c,--context", flags->request.context,
                    "Tokens of prompt and answer; 0: the model's own, at most 8192")
        ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 30))
        ->capture_default_str();
    sub->add_option("--parallel", flags->request.parallel, "Answers computed together")
        ->check(CLI::Range(1, 4096))
        ->capture_default_str();
    sub->add_option("--cache-type", flags->cache_type, "Precision of the KV cache")
        ->check(CLI::IsMember(std::vector<std::string>(kCacheTypeNames.begin(), kCacheTypeNames.end())))
        ->capture_default_str();
    sub->add_option(
           "--draft", flags->draft,
           "As in run and serve: auto and mtp load the model's own layer that drafts, where it has one")
        ->check(CLI::IsMember({"auto", "mtp", "ngram", "off"}))
        ->capture_default_str();
    sub->add_option("--ram", flags->ram,
                    "Memory the model may take, as 512GB or 64GiB; without it: what is available here")
        ->transform(CLI::AsSizeValue(true));
    sub->add_option("--bandwidth", flags->machine.read_gb_per_second,
                    "GB/s that memory is read with; without it: measured here")
        ->check(CLI::Range(1e-3, 1e9));
    sub->add_option("--gops", flags->machine.int8_gops,
                    "Billions of int8 operations a second; without it: measured here")
        ->check(CLI::Range(1e-3, 1e9));
    sub->add_option("-t,--threads", flags->machine.threads, "Threads to measure with; 0: one per core")
        ->check(CLI::Range(0, 1024));
    sub->add_flag("--json", flags->json, "One JSON object");
    sub->footer(
        std::string(
            "Nothing is loaded: sizes come from the file's header, speeds from what memory and processor "
            "allow.\n"
            "Exit code 0: it fits as asked. 1: it does not; the verdict says what would.\n\n"
            "Examples:\n"
            "  deepwell fit default\n"
            "  deepwell fit model.gguf --context 32768 --parallel 8\n"
            "  deepwell fit model.gguf --ram 512GB --bandwidth 400 --gops 20000     another machine\n"
            "  deepwell fit deepseek-v3 --type Q8_0 --ram 1TB --bandwidth 600              without the file\n"
            "  deepwell fit model.gguf --json | jq .tokens_per_second_at_most\n\n") +
        fmt::format("Released models: {}.", fmt::join(known_models(), ", ")));
    return [flags] {
      const Result<bool> fits = fit(*flags);
      if (fits.ok()) return *fits ? 0 : 1;
      std::cerr << "deepwell: " << fits.error().message << '\n';
      return 1;
    };
  }};
}

}  // namespace deepwell
