// SPDX-License-Identifier: Apache-2.0
#include "cli/repl/line_editor.h"

#include <fcntl.h>
#include <histedit.h>
#include <langinfo.h>
#include <sys/stat.h>
#include <unistd.h>

#include <clocale>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>

namespace deepwell {
namespace {

constexpr int kHistoryEntriesMax = 1000;
constexpr std::size_t kPasteCharactersMax = 4 << 20;
constexpr std::string_view kPasteOn = "\x1b[?2004h", kPasteOff = "\x1b[?2004l";
constexpr std::wstring_view kPasteEnd = L"\x1b[201~";

class PlainLines final : public LineEditor {
 public:
  explicit PlainLines(std::FILE* in) : in_(in) {}
  ~PlainLines() override { std::free(line_); }
  PlainLines(const PlainLines&) = delete;
  PlainLines& operator=(const PlainLines&) = delete;

  Input read(const std::string&) override {
    const ssize_t size = getline(&line_, &capacity_, in_);
    if (size < 0) return {Event::kEnd, ""};
    std::string text(line_, static_cast<std::size_t>(size));
    if (text.ends_with('\n')) text.pop_back();
    if (text.ends_with('\r')) text.pop_back();
    return {Event::kLine, std::move(text)};
  }
  void remember(const std::string&) override {}
  bool interactive() const override { return false; }

 private:
  std::FILE* in_;
  char* line_ = nullptr;
  std::size_t capacity_ = 0;
};

/// libedit decodes by the locale; without a UTF-8 one, Chinese would come in as question marks.
void use_utf8() {
  std::setlocale(LC_CTYPE, "");
  if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) std::setlocale(LC_CTYPE, "C.UTF-8");
}

class TerminalLines final : public LineEditor {
 public:
  TerminalLines(std::FILE* in, std::FILE* out, std::string history_file)
      : out_(out), history_file_(std::move(history_file)) {
    use_utf8();
    history_ = history_init();
    HistEvent event;
    history(history_, &event, H_SETSIZE, kHistoryEntriesMax);
    history(history_, &event, H_SETUNIQUE, 1);
    if (make_history_file()) history(history_, &event, H_LOAD, history_file_.c_str());
    edit_ = el_init("deepwell", in, out, stderr);
    el_set(edit_, EL_CLIENTDATA, this);
    el_set(edit_, EL_PROMPT, &TerminalLines::prompt_of);
    el_set(edit_, EL_EDITOR, "emacs");
    el_set(edit_, EL_SIGNAL, 1);
    el_set(edit_, EL_HIST, history, history_);
    // Ctrl-C and Ctrl-Z come as keys while a line is edited, so that the terminal is never left half set up.
    el_set(edit_, EL_SETTY, "-d", "-isig", nullptr);
    el_set(edit_, EL_ADDFN, "deepwell-interrupt", "give up this line", &TerminalLines::on_interrupt);
    el_set(edit_, EL_ADDFN, "deepwell-suspend", "stop the program", &TerminalLines::on_suspend);
    el_set(edit_, EL_ADDFN, "deepwell-paste", "insert a pasted block", &TerminalLines::on_paste);
    el_set(edit_, EL_BIND, "^C", "deepwell-interrupt", nullptr);
    el_set(edit_, EL_BIND, "^Z", "deepwell-suspend", nullptr);
    el_set(edit_, EL_BIND, "\\e[200~", "deepwell-paste", nullptr);
    el_set(edit_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_set(edit_, EL_BIND, "\\e[1;5D", "ed-prev-word", nullptr);
    el_set(edit_, EL_BIND, "\\e[1;5C", "em-next-word", nullptr);
    el_set(edit_, EL_BIND, "\\e[3~", "ed-delete-next-char", nullptr);
  }
  ~TerminalLines() override {
    el_end(edit_);
    history_end(history_);
  }
  TerminalLines(const TerminalLines&) = delete;
  TerminalLines& operator=(const TerminalLines&) = delete;

  Input read(const std::string& prompt) override {
    prompt_ = prompt;
    interrupted_ = false;
    el_set(edit_, EL_PREP_TERM, 1);  // el_gets would do it after the prompt: a Ctrl-C between is a signal
    show(kPasteOn);
    int size = 0;
    const char* line = el_gets(edit_, &size);
    show(kPasteOff);
    if (interrupted_) {
      show("^C\n");
      el_reset(edit_);
      return {Event::kInterrupted, ""};
    }
    if (line == nullptr || size <= 0) {
      show("\n");
      return {Event::kEnd, ""};
    }
    std::string text(line, static_cast<std::size_t>(size));
    if (text.ends_with('\n')) text.pop_back();
    return {Event::kLine, std::move(text)};
  }

  void remember(const std::string& entry) override {
    HistEvent event;
    history(history_, &event, H_ENTER, entry.c_str());
    if (make_history_file()) history(history_, &event, H_SAVE, history_file_.c_str());
  }
  bool interactive() const override { return true; }

 private:
  static TerminalLines& self(EditLine* edit) {
    void* data = nullptr;
    el_get(edit, EL_CLIENTDATA, &data);
    return *static_cast<TerminalLines*>(data);
  }
  static char* prompt_of(EditLine* edit) { return self(edit).prompt_.data(); }

  static unsigned char on_interrupt(EditLine* edit, int) {
    self(edit).interrupted_ = true;
    return CC_EOF;
  }

  static unsigned char on_suspend(EditLine* edit, int) {
    el_set(edit, EL_PREP_TERM, 0);
    std::raise(SIGTSTP);
    el_set(edit, EL_PREP_TERM, 1);
    return CC_REDISPLAY;
  }

  static unsigned char on_paste(EditLine* edit, int) {
    std::wstring text;
    wchar_t c = 0;  // el_getc fails on what has no single byte
    while (text.size() < kPasteCharactersMax && el_wgetc(edit, &c) == 1) {
      text.push_back(c == L'\r' ? L'\n' : c);
      if (text.ends_with(kPasteEnd)) {
        text.resize(text.size() - kPasteEnd.size());
        break;
      }
    }
    while (text.ends_with(L'\n')) text.pop_back();
    return el_winsertstr(edit, text.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
  }

  void show(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), out_);
    std::fflush(out_);
  }

  /// Makes the file before libedit would, so that it is never readable by others.
  bool make_history_file() const {
    if (history_file_.empty()) return false;
    const std::filesystem::path folder = std::filesystem::path(history_file_).parent_path();
    std::error_code ignored;
    std::filesystem::create_directories(folder.parent_path(), ignored);
    mkdir(folder.c_str(), 0700);
    const int file = ::open(history_file_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0) return false;
    close(file);
    return true;
  }

  std::FILE* out_;
  std::string history_file_, prompt_;
  EditLine* edit_;
  History* history_;
  bool interrupted_ = false;
};

}  // namespace

std::unique_ptr<LineEditor> LineEditor::open(std::FILE* in, std::FILE* out, std::string history_file) {
  if (isatty(fileno(in)) != 0 && isatty(fileno(out)) != 0)
    return std::make_unique<TerminalLines>(in, out, std::move(history_file));
  return std::make_unique<PlainLines>(in);
}

std::string default_history_file() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && state[0] == '/')
    return std::string(state) + "/deepwell/history";
  const char* home = std::getenv("HOME");
  return home == nullptr || home[0] != '/' ? "" : std::string(home) + "/.local/state/deepwell/history";
}

}  // namespace deepwell
