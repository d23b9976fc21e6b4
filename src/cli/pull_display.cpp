// SPDX-License-Identifier: Apache-2.0
#include "cli/pull_display.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "base/human.h"

namespace deepwell {
namespace {

int terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

bool is_transfer(const PullProgress& now) {
  return now.total > 0 && now.done > 0 &&
         (now.step == "downloading" || now.step == "verifying" || now.step == "converting");
}

std::string step_line(const PullProgress& now) {
  return fmt::format("{}{}{}{}", now.step, now.file.empty() ? "" : " ", printable(now.file, 200),
                     now.note.empty() ? "" : fmt::format(" ({})", printable(now.note, 400)));
}

}  // namespace

double PullDisplay::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void PullDisplay::show(const PullProgress& now) {
  const bool new_step = now.step != step_ || now.note != note_ || now.file != file_;
  step_ = now.step;
  note_ = now.note;
  file_ = now.file;
  if (now.step == "downloading" || now.step == "converting") speed_.add(seconds(), now.done);
  switch (style_) {
    case PullStyle::kBar:
      return draw(now);
    case PullStyle::kLines:
      return print_line(now, new_step);
    case PullStyle::kJson:
      return print_json(now, new_step);
    case PullStyle::kQuiet:
      return;
  }
}

void PullDisplay::draw(const PullProgress& now) {
  if (now.step == "done") return end();
  const int columns = terminal_columns() - 1;  // the last column may wrap
  std::string line = is_transfer(now)
                         ? transfer_line({now.file, now.done, now.total, speed_.bytes_per_second()}, columns)
                         : fmt::format("{}  {}", step_line(now), human_duration(seconds()));
  if (static_cast<int>(line.size()) > columns) line.resize(static_cast<std::size_t>(columns));
  std::cerr << '\r' << line << "\x1b[K" << std::flush;
  drawn_ = true;
  // Reasons stay to be read.
  if (now.step == "offline" || now.step == "retrying") end();
}

void PullDisplay::end() {
  if (drawn_) std::cerr << '\n' << std::flush;
  drawn_ = false;
}

void PullDisplay::print_line(const PullProgress& now, bool new_step) {
  if (now.step == "done") return;
  if (new_step && !is_transfer(now)) std::cerr << step_line(now) << '\n';
  if (!is_transfer(now)) return;
  const std::int64_t tenth = now.done * 10 / now.total;
  if (tenth == tenth_ && seconds() - shown_at_ < 30) return;
  tenth_ = tenth;
  shown_at_ = seconds();
  std::cerr << transfer_line({now.file, now.done, now.total, speed_.bytes_per_second()}, 120) << '\n';
}

void PullDisplay::print_json(const PullProgress& now, bool new_step) {
  if (now.step == "done" || (!new_step && seconds() - shown_at_ < 0.5)) return;
  shown_at_ = seconds();
  nlohmann::ordered_json json{
      {"event", now.step}, {"file", now.file}, {"done", now.done}, {"total", now.total}};
  if (now.resumed > 0) json["resumed"] = now.resumed;
  if (!now.note.empty()) json["note"] = now.note;
  if (const auto speed = speed_.bytes_per_second())
    json["bytes_per_second"] = static_cast<std::int64_t>(*speed);
  std::cout << json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << std::endl;
}

}  // namespace deepwell
