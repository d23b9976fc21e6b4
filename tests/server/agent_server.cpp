// SPDX-License-Identifier: Apache-2.0
// agent_server CALLS: the real server over an engine that plays an agent's model: it makes CALLS one after
// another (a JSON array of {"name": ..., "arguments": {...}}), each when it has seen the result of the one
// before, and then says that it is done. Prints its port; ends with stdin.
#include <algorithm>
#include <cstdio>
#include <iostream>

#include "server/fakes.h"

int main(int argc, char** argv) {
  using namespace deepwell;
  if (argc != 2 || !nlohmann::json::accept(argv[1])) return 1;
  std::vector<std::vector<Token>> replies;
  for (const auto& call : nlohmann::ordered_json::parse(argv[1]))  // the name comes first
    replies.push_back(fakes::tokens_of("I will change it.\n<tool_call>\n" + call.dump() + "\n</tool_call>"));
  replies.push_back(fakes::tokens_of("Done: the file is changed."));
  fakes::Script script;
  script.context = 1'000'000;
  script.choose = [&](const EngineRequest& request) {
    const auto& prompt = request.prompt;
    const std::vector<Token> result = fakes::tokens_of("tool\n");  // a turn of a tool, after its mark
    std::size_t results = 0;
    for (std::size_t i = 0; i + result.size() < prompt.size(); ++i)
      results +=
          prompt[i] == fakes::FakeTokenizer::kTurnStart &&
          std::equal(result.begin(), result.end(), prompt.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    return replies[std::min(results, replies.size() - 1)];
  };
  Service service;
  service.models.add_loaded(fakes::fake_model(std::move(script), "fake-model", "<tool_call> tools"));
  service.set_phase(Phase::kReady);
  AppOptions options;
  options.log = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
  auto app = App::start(std::move(options), service);
  if (!app) return 1;
  std::printf("%d\n", static_cast<int>((*app)->port()));
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
  }
  (*app)->drain(std::chrono::seconds(1));
  return 0;
}
