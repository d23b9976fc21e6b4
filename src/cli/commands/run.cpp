// SPDX-License-Identifier: Apache-2.0
// deepwell run: ask a model once, through a pipe, or in a chat on the terminal.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/command.h"
#include "cli/local_chat.h"
#include "cli/repl/thinking_printer.h"
#include "cli/repl/visible_text.h"
#include "cli/thread_flags.h"
#include "server/model/chat_language.h"
#include "server/model/prompt.h"
#include "store/store.h"

namespace deepwell {
namespace {

struct Flags {
  std::string model, prompt, system, cache_type = "f16", draft = "auto", draft_model;
  GenerationOptions generation = default_chat_options();
  std::uint64_t seed = 0;
  EngineOptions engine;
  bool raw = false, json = false, verbose = false, hide_thinking = false;
  std::optional<bool> thinking;
  std::string chat_template;
};

/// A line on the terminal that tells how far loading is, and wipes itself.
Engine::Progress loading_line(bool wanted) {
  if (!wanted) return {};
  return [last = -1](double fraction) mutable {
    const int percent = static_cast<int>(fraction * 100);
    if (percent == last) return;
    last = percent;
    std::fprintf(stderr, percent >= 99 ? "\r\033[K" : "\rloading %d %%", percent);
    std::fflush(stderr);
  };
}

std::string_view reason_name(FinishReason reason) {
  return reason == FinishReason::kLength      ? "length"
         : reason == FinishReason::kCancelled ? "cancelled"
                                              : "stop";
}

double per_second(std::int64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0.0;
}
/// The first token is part of the prefill, and there may be none.
double decode_per_second(const GenerationFinish& finish) {
  return per_second(std::max<std::int64_t>(0, finish.generated_tokens - 1), finish.decode_seconds);
}

std::string summary(const GenerationFinish& finish, const EngineStats& stats) {
  std::string line = fmt::format("{} prompt tokens, {:.1f}/s; {} generated, {:.1f}/s", finish.prompt_tokens,
                                 per_second(finish.prompt_tokens, finish.prefill_seconds),
                                 finish.generated_tokens, decode_per_second(finish));
  if (stats.draft_tokens > 0)
    line += fmt::format("; {} of {} guesses right", stats.draft_tokens_right, stats.draft_tokens);
  return line;
}

/// The prompt as tokens; `options` learn how the reply is read.
Result<std::vector<Token>> encode(const ServedModel& model, const Flags& flags, const std::string& text,
                                  GenerationOptions& options) {
  if (flags.raw) return encode_raw(*model.tokenizer, text);
  Conversation conversation;
  if (!flags.system.empty()) conversation.messages.push_back({"system", flags.system});
  conversation.messages.push_back({"user", text});
  conversation.thinking = flags.thinking;
  DW_TRY(ChatTokens chat, encode_chat(model, conversation));
  options.reply = reply_format(model, chat);
  return std::move(chat.tokens);
}

Status answer_as_json(ServedModel& model, const Flags& flags, const std::string& text) {
  GenerationOptions options = flags.generation;
  options.sampling.logprobs = 0;  // brings the tokens along
  DW_TRY(std::vector<Token> prompt, encode(model, flags, text, options));
  DW_TRY(const GeneratedText made, generate(model, prompt, options));
  std::vector<Token> tokens;
  for (const TokenOutput& token : made.tokens) tokens.push_back(token.token);
  const GenerationFinish& f = made.finish;
  const EngineStats stats = model.engine->stats();
  nlohmann::ordered_json line = {
      {"text", made.message.content},
      {"tokens", tokens},
      {"prompt_tokens", prompt},
      {"finish_reason", reason_name(f.reason)},
      {"usage", {{"prompt_tokens", f.prompt_tokens}, {"completion_tokens", f.generated_tokens}}},
      {"timings",
       {{"prefill_seconds", f.prefill_seconds},
        {"decode_seconds", f.decode_seconds},
        {"prefill_tokens_per_second", per_second(f.prompt_tokens, f.prefill_seconds)},
        {"decode_tokens_per_second", decode_per_second(f)},
        {"draft_tokens", stats.draft_tokens},
        {"draft_tokens_accepted", stats.draft_tokens_right}}}};
  if (made.message.reasoning) line["reasoning"] = *made.message.reasoning;
  std::cout << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
  return Done{};
}

Status answer_once(ServedModel& model, const Flags& flags, const std::string& text) {
  if (flags.json) return answer_as_json(model, flags, text);
  GenerationOptions options = flags.generation;
  DW_TRY(std::vector<Token> prompt, encode(model, flags, text, options));
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  ThinkingPrinter printer(terminal, flags.hide_thinking);
  DW_TRY(const GenerationFinish finish,
         stream_generation(model, std::move(prompt), options, [&](std::string_view piece, bool thinking) {
           const std::string shown =
               piece.empty() ? ""
                             : printer.show(terminal ? visible_text(piece) : std::string(piece), thinking);
           std::fwrite(shown.data(), 1, shown.size(), stdout);
           return std::fflush(stdout) == 0;  // nobody reads any more: stop
         }));
  std::fputs(printer.end().c_str(), stdout);
  std::fputc('\n', stdout);
  if (flags.verbose) std::fprintf(stderr, "%s\n", summary(finish, model.engine->stats()).c_str());
  return Done{};
}

Status run(const Flags& flags, bool has_prompt) {
  const bool talk = !has_prompt && ::isatty(STDIN_FILENO) == 1 && !flags.json;
  DW_TRY(const std::string path, resolve_model(flags.model));
  std::string text = flags.prompt;
  if (!has_prompt && !talk) text.assign(std::istreambuf_iterator<char>(std::cin), {});
  if (has_prompt && ::isatty(STDIN_FILENO) == 0) {
    const std::string piped(std::istreambuf_iterator<char>(std::cin), {});
    if (!piped.empty()) text += "\n\n" + piped;
  }
  if (!talk && text.empty())
    return Error{ErrorCode::kInvalid, "the prompt is empty; give a PROMPT or pipe one in"};
  ServedModelOptions options;
  DW_TRY(options.chat_template, chat_template_of(flags.chat_template));
  options.engine = flags.engine;
  options.engine.parallel = 1;
  options.engine.log = [](const std::string& line) { std::fprintf(stderr, "deepwell: %s\n", line.c_str()); };
  options.engine.cache_type = *parse_cache_type(flags.cache_type);  // one of the names, by its check
  options.engine.draft = *parse_draft_source(flags.draft);          // the same
  if (!flags.draft_model.empty()) {
    DW_TRY(options.draft_model, resolve_model(flags.draft_model));
  }
  DW_TRY(const std::shared_ptr<ServedModel> model,
         load_served_model(path, options, loading_line(::isatty(STDERR_FILENO) == 1)));
  if (!talk) return answer_once(*model, flags, text);
  LocalChat chat(model, flags.generation);
  const auto editor = LineEditor::open(stdin, stdout, default_history_file());
  ReplOptions repl;
  repl.system = flags.system;
  repl.hide_thinking = flags.hide_thinking;
  if (flags.thinking) repl.settings["thinking"] = *flags.thinking ? 1 : 0;
  const EngineInfo& info = model->engine->info();
  repl.greeting = fmt::format("{} ({}). /help tells what can be typed, Ctrl-D leaves.",
                              visible_text(info.name.empty() ? model->id : info.name), info.weight_types);
  return run_repl(*editor, chat, repl, stdout, stderr) == 0
             ? Status(Done{})
             : Status(Error{ErrorCode::kIo, "an answer failed; see above"});
}

}  // namespace

Command command_commands_run() {
  return {[](CLI::App& app) -> std::function<int()> {
    auto flags = std::make_shared<Flags>();
    SamplingOptions& sampling = flags->generation.sampling;
    CLI::App* sub = app.add_subcommand("run", "Ask a model: once, through a pipe, or in a chat");
    sub->add_option("MODEL", flags->model,
                    "A GGUF file, a checkpoint's directory, or a name in the store; 'default' is a small one")
        ->required();
    CLI::Option* prompt = sub->add_option("PROMPT", flags->prompt,
                                          "What to ask; without it: standard input, or a chat on a terminal");
    sub->add_option("-n,--max-tokens", flags->generation.max_tokens,
                    "Tokens to generate at most; -1: until the context is full")
        ->check(CLI::Range(-1, 1 << 30))
        ->capture_default_str();
    sub->add_option("--temp,--temperature", sampling.temperature, "0 always takes the likeliest token")
        ->check(CLI::Range(0.0, 100.0))
        ->capture_default_str();
    sub->add_option("--top-k", sampling.top_k, "Draw from the K likeliest; 0: from all")
        ->check(CLI::Range(0, 1 << 20))
        ->capture_default_str();
    sub->add_option("--top-p", sampling.top_p, "Draw from the likeliest that hold this share of the mass")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
    sub->add_option("--min-p", sampling.min_p, "Drop tokens less likely than this share of the likeliest")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
    sub->add_option("--typical-p", sampling.typical_p, "Keep tokens of typical surprise up to this mass")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
    sub->add_option("--repetition-penalty", sampling.repetition_penalty,
                    "Above 1: tokens seen before become less likely")
        ->check(CLI::Range(0.01, 10.0))
        ->capture_default_str();
    sub->add_option("--dry", sampling.dry_multiplier,
                    "DRY: how hard repeated runs of tokens are punished; 0: not")
        ->check(CLI::Range(0.0, 100.0))
        ->capture_default_str();
    CLI::Option* seed = sub->add_option("--seed", flags->seed, "The same seed gives the same text");
    sub->add_option("--stop", flags->generation.stop, "End before this text; may be given more than once");
    sub->add_option("--system", flags->system, "A system message");
    sub->add_flag_callback(
        "--think", [flags] { flags->thinking = true; }, "Let the model think before it answers");
    sub->add_flag_callback(
           "--no-think", [flags] { flags->thinking = false; }, "Have the model answer at once")
        ->excludes("--think");
    sub->add_flag("--hide-thinking", flags->hide_thinking, "Do not show what the model thinks");
    sub->add_option("--chat-template", flags->chat_template,
                    "Chat language instead of the model's own: " + chat_template_names() +
                        ", or a file with a Jinja template");
    sub->add_flag("--raw", flags->raw, "No chat template: the model continues the text");
    sub->add_flag("--ignore-end", flags->generation.ignore_end, "Go on after the model's end token");
    sub->add_flag("--json", flags->json, "One JSON object: text, tokens, timings, finish reason");
    sub->add_flag("--exact", flags->engine.exact, "Activations stay F32: slow, for comparing");
    sub->add_option("--cache-type", flags->cache_type, "Precision of the KV cache")
        ->check(CLI::IsMember(std::vector<std::string>(kCacheTypeNames.begin(), kCacheTypeNames.end())))
        ->capture_default_str();
    sub->add_option("-c,--context", flags->engine.context,
                    "Tokens of prompt and answer; 0: the model's own, at most 8192")
        ->check(CLI::Range(0, 1 << 30));
    sub->add_option("--expert-cache", flags->engine.expert_cache_bytes,
                    "Memory for experts that are read from disk when they are needed, as 2GB; 0: all stay in "
                    "memory; without it: what there is, where the model does not fit")
        ->transform(CLI::AsSizeValue(true));
    sub->add_option("-t,--threads", flags->engine.threads, "Threads; 0: one for each fast core")
        ->check(CLI::Range(0, 1024));
    add_thread_flags(*sub, flags->engine.threads_batch, flags->engine.pin);
    sub->add_option(
           "--draft", flags->draft,
           "Who guesses tokens for the model to verify, which changes speed alone: ngram (the text so "
           "far), mtp (the model's own layer), model (--draft-model), off; auto: the best there is")
        ->check(CLI::IsMember(std::vector<std::string>(kDraftSourceNames.begin(), kDraftSourceNames.end())))
        ->capture_default_str();
    sub->add_option("--draft-model", flags->draft_model,
                    "A smaller model of the same vocabulary that guesses");
    sub->add_option("--draft-tokens", flags->engine.draft_tokens,
                    "Tokens guessed and verified in one pass at most; 0: none")
        ->check(CLI::Range(0, 64))
        ->capture_default_str();
    sub->add_flag("-v,--verbose", flags->verbose, "Say how fast it went");
    sub->footer(
        "Examples:\n"
        "  deepwell run default 'Why is the sky blue?'\n"
        "  deepwell run default                          chat; /help inside\n"
        "  git diff | deepwell run default 'Write a commit message for this change.'\n"
        "  deepwell run default --temp 0 --json 'Name three rivers.' | jq -r .text\n"
        "  deepwell run default --raw 'Once upon a time' -n 100 --seed 7");
    return [flags, prompt, seed] {
      if (seed->count() > 0) flags->generation.sampling.seed = flags->seed;
      const Status status = run(*flags, prompt->count() > 0);
      if (status.ok()) return 0;
      std::cerr << "deepwell: " << status.error().message << '\n';
      return 1;
    };
  }};
}

}  // namespace deepwell
