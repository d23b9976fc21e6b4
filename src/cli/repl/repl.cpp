// SPDX-License-Identifier: Apache-2.0
#include "cli/repl/repl.h"

#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <optional>

#include "cli/repl/settings.h"
#include "cli/repl/thinking_printer.h"
#include "cli/repl/transcript.h"
#include "cli/repl/visible_text.h"

namespace deepwell {
namespace {

std::atomic<bool> interrupted{false};  // set by the signal handler below, the only global

/// While one lives, Ctrl-C stops the answer and not the program.
class CatchInterrupt {
 public:
  CatchInterrupt() {
    interrupted = false;
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = true; };
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &before_);
  }
  ~CatchInterrupt() { sigaction(SIGINT, &before_, nullptr); }
  CatchInterrupt(const CatchInterrupt&) = delete;
  CatchInterrupt& operator=(const CatchInterrupt&) = delete;

 private:
  struct sigaction before_ {};
};

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\n");
  if (first == std::string_view::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

class Repl {
 public:
  Repl(LineEditor& editor, ChatBackend& backend, ReplOptions options, std::FILE* out, std::FILE* err)
      : editor_(editor), backend_(backend), options_(std::move(options)), out_(out), err_(err) {
    settings_ = options_.settings;
    set_system(options_.system);
  }

  int run() {
    if (editor_.interactive() && !options_.greeting.empty()) print(options_.greeting + "\n");
    while (!leaving_) {
      const std::optional<std::string> entry = read_entry();
      if (!entry) break;
      const std::string_view text = trimmed(*entry);
      if (text.empty()) continue;
      editor_.remember(*entry);
      if (is_command(text))
        command(text);
      else
        say(std::string(text.starts_with("//") ? text.substr(1) : text));
    }
    return failed_ && !editor_.interactive() ? 1 : 0;
  }

 private:
  struct Command {
    std::string_view name, argument, meaning;
    void (Repl::*run)(std::string_view argument);
  };
  static const std::vector<Command>& commands() {
    static const std::vector<Command> all = {
        {"/help", "", "lists these commands", &Repl::help},
        {"/exit", "", "leaves (so does Ctrl-D)", &Repl::leave},
        {"/clear", "", "forgets the conversation, keeps system text and settings", &Repl::clear},
        {"/system", "TEXT", "sets the system text; without TEXT removes it", &Repl::system},
        {"/set", "NAME VALUE", "sets a sampling setting; VALUE \"default\" unsets; alone lists all",
         &Repl::set},
        {"/show", "", "shows system text, settings and conversation", &Repl::show},
        {"/save", "FILE", "writes the conversation to FILE", &Repl::save},
        {"/load", "FILE", "goes on with a saved conversation", &Repl::load},
        {"/think", "on|off|show|hide", "lets the model think first or not; shows its thinking or not",
         &Repl::think},
        {"/regen", "", "answers the last message anew", &Repl::regenerate},
        {"/undo", "", "takes back the last message and its answer", &Repl::undo},
        {"/stats", "", "shows how long the last answer took", &Repl::stats},
    };
    return all;
  }

  /// "/etc/hosts is..." is a message, and so is "//help".
  static bool is_command(std::string_view text) {
    const std::string_view word = text.substr(0, text.find_first_of(" \t\n"));
    return word.starts_with('/') && word.find('/', 1) == std::string_view::npos;
  }

  /// One entry: a line, lines joined by trailing backslashes, or a block between """ and """.
  std::optional<std::string> read_entry() {
    std::string entry;
    bool block = false, first = true;
    while (true) {
      LineEditor::Input input = editor_.read(first ? ">>> " : "... ");
      if (input.event == LineEditor::Event::kInterrupted) {
        if (first) print("(Ctrl-D or /exit leaves)\n");
        return "";
      }
      if (input.event == LineEditor::Event::kEnd) {
        if (first) return std::nullopt;
        return entry;  // an unfinished block still counts: a pipe may end without """
      }
      std::string line = std::move(input.text);
      if (first && line.starts_with("\"\"\"")) {
        block = true;
        line.erase(0, 3);
      }
      const bool ends_block = block && line.ends_with("\"\"\"");
      const bool goes_on = block ? !ends_block : line.ends_with('\\');
      if (ends_block) line.resize(line.size() - 3);
      if (!block && goes_on) line.pop_back();
      if (block && first && line.empty() && goes_on) {
        first = false;  // the line that only opens the block adds no line break
        continue;
      }
      entry += line;
      first = false;
      if (!goes_on) return entry;
      entry += '\n';
    }
  }

  void print(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), out_);
    std::fflush(out_);
  }
  void complain(std::string_view text) {
    std::fflush(out_);
    fmt::print(err_, "{}\n", text);
    std::fflush(err_);
  }

  void set_system(std::string_view text) {
    if (!messages_.empty() && messages_.front().role == "system") messages_.erase(messages_.begin());
    if (!text.empty()) messages_.insert(messages_.begin(), {"system", std::string(text)});
  }

  void say(std::string text) {
    messages_.push_back({"user", std::move(text)});
    if (!answer()) messages_.pop_back();  // so that it can be said again
  }

  bool answer() {
    std::string text;
    ThinkingPrinter printer(editor_.interactive(), options_.hide_thinking);
    std::string reasoning;
    bool stopped = false;
    const auto on_text = [&](std::string_view piece, bool thinking) {
      (thinking ? reasoning : text) += piece;
      if (!piece.empty()) {
        print(printer.show(editor_.interactive() ? visible_text(piece) : std::string(piece), thinking));
      }
      stopped = stopped || interrupted;
      return !stopped;
    };
    Result<AnswerStats> result = [&] {
      const CatchInterrupt catch_interrupt;
      return backend_.answer(messages_, settings_, on_text);
    }();
    print(printer.end());
    if (!text.empty() && !text.ends_with('\n')) print("\n");
    if (!result) {
      failed_ = true;
      complain("error: " + result.error().message);
      return false;
    }
    if (stopped) print("(stopped)\n");
    last_ = *result;
    messages_.push_back({"assistant", std::move(text), std::move(reasoning)});
    return true;
  }

  void command(std::string_view text) {
    const auto end = text.find_first_of(" \t\n");
    const std::string_view name = text.substr(0, end);
    const std::string_view argument = end == std::string_view::npos ? "" : trimmed(text.substr(end));
    std::vector<std::string_view> names;
    for (const Command& known : commands()) {
      if (known.name == name) {
        if (known.argument.empty() && !argument.empty())
          return complain(fmt::format("{} takes nothing after it", name));
        return (this->*known.run)(argument);
      }
      names.push_back(known.name);
    }
    if (name == "/quit" || name == "/bye" || name == "/q") return leave("");
    if (name == "/?" || name == "/h") return help("");
    const std::string near = nearest_word(name, names);
    complain(fmt::format("unknown command {}{}; /help lists all (for a message that starts with /, type //)",
                         name, near.empty() ? "" : fmt::format(", did you mean {}?", near)));
  }

  void think(std::string_view word) {
    if (word == "on" || word == "off") {
      settings_["thinking"] = word == "on" ? 1 : 0;
      return print(word == "on" ? "The model thinks first, if it can.\n" : "The model answers at once.\n");
    }
    if (word == "show" || word == "hide") {
      options_.hide_thinking = word == "hide";
      return print(word == "hide" ? "Thinking is not shown.\n" : "Thinking is shown.\n");
    }
    complain("/think takes on, off, show or hide");
  }

  void help(std::string_view) {
    std::string text;
    for (const Command& known : commands())
      text += fmt::format("  {:<23} {}\n", fmt::format("{} {}", known.name, known.argument), known.meaning);
    print(text +
          "A line that ends in \\ goes on in the next one; \"\"\" starts and ends a block of lines.\n"
          "Ctrl-C stops an answer.\n");
  }

  void leave(std::string_view) { leaving_ = true; }

  void clear(std::string_view) {
    const bool keep = !messages_.empty() && messages_.front().role == "system";
    messages_.resize(keep ? 1 : 0);
    print("The conversation is empty.\n");
  }

  void system(std::string_view text) {
    set_system(text);
    print(text.empty() ? "No system text.\n" : "System text set.\n");
  }

  void set(std::string_view argument) {
    if (argument.empty()) return list_settings();
    const auto end = argument.find_first_of(" \t=");
    const std::string_view name = argument.substr(0, end);
    std::string_view value = end == std::string_view::npos ? "" : trimmed(argument.substr(end));
    if (value.starts_with('=')) value = trimmed(value.substr(1));
    const bool unset = value == "default";
    const auto number = parse_chat_setting(name, unset ? "1" : value);
    if (!number) return complain(number.error().message);
    if (unset)
      settings_.erase(std::string(name));
    else
      settings_[std::string(name)] = *number;
    print(fmt::format("{} = {}\n", name, unset ? "default" : show_number(*number)));
  }

  void list_settings() {
    std::string text;
    for (const ChatSetting& setting : all_chat_settings()) {
      const auto found = settings_.find(std::string(setting.name));
      text += fmt::format("  {:<18} {:<8} {}\n", setting.name,
                          found == settings_.end() ? "default" : show_number(found->second), setting.meaning);
    }
    print(text);
  }

  void show(std::string_view) {
    list_settings();
    std::string text;
    for (const ChatMessage& message : messages_)
      text += fmt::format("{}: {}\n", message.role, message.content);
    print(text.empty() ? "No messages.\n" : editor_.interactive() ? visible_text(text) : text);
  }

  void save(std::string_view path) {
    if (path.empty()) return complain("/save needs a file name");
    const Status saved = save_transcript({messages_, settings_}, std::string(path));
    if (!saved) return complain(saved.error().message);
    print(fmt::format("Saved {} messages to {}\n", messages_.size(), path));
  }

  void load(std::string_view path) {
    if (path.empty()) return complain("/load needs a file name");
    auto loaded = load_transcript(std::string(path));
    if (!loaded) return complain(loaded.error().message);
    messages_ = std::move(loaded->messages);
    settings_ = std::move(loaded->settings);
    print(fmt::format("Loaded {} messages from {}\n", messages_.size(), path));
  }

  void regenerate(std::string_view) {
    std::optional<ChatMessage> old;
    if (!messages_.empty() && messages_.back().role == "assistant") {
      old = std::move(messages_.back());
      messages_.pop_back();
    }
    if (messages_.empty() || messages_.back().role != "user") {
      if (old) messages_.push_back(std::move(*old));
      return complain("there is no message to answer anew");
    }
    if (!answer() && old) messages_.push_back(std::move(*old));
  }

  void undo(std::string_view) {
    if (!messages_.empty() && messages_.back().role == "assistant") messages_.pop_back();
    if (messages_.empty() || messages_.back().role != "user")
      return complain("there is nothing to take back");
    messages_.pop_back();
    print("Took back the last message.\n");
  }

  void stats(std::string_view) {
    if (!last_) return complain("no answer yet");
    const auto rate = [](std::int64_t tokens, double seconds) {
      return seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0;
    };
    print(fmt::format(
        "prompt: {} tokens ({} cached) in {:.2f} s, {:.1f} tokens/s\n"
        "answer: {} tokens in {:.2f} s, {:.1f} tokens/s\n",
        last_->prompt_tokens, last_->cached_tokens, last_->prefill_seconds,
        rate(last_->prompt_tokens - last_->cached_tokens, last_->prefill_seconds), last_->generated_tokens,
        last_->decode_seconds, rate(last_->generated_tokens, last_->decode_seconds)));
  }

  LineEditor& editor_;
  ChatBackend& backend_;
  ReplOptions options_;
  std::FILE *out_, *err_;
  std::vector<ChatMessage> messages_;
  ChatSettings settings_;
  std::optional<AnswerStats> last_;
  bool leaving_ = false, failed_ = false;
};

}  // namespace

int run_repl(LineEditor& editor, ChatBackend& backend, ReplOptions options, std::FILE* out, std::FILE* err) {
  std::optional<CatchInterrupt>
      between_answers;  // one Ctrl-C too many after an answer does not end the program
  if (editor.interactive()) between_answers.emplace();
  return Repl(editor, backend, std::move(options), out, err).run();
}

}  // namespace deepwell
