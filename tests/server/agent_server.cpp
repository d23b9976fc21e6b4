// SPDX-License-Identifier: Apache-2.0
// agent_server CALL: the real server over an engine that plays an agent's model: it makes CALL (a JSON
// object,
// {"name": ..., "arguments": {...}}), sees a result, and says that it is done. Prints its port; ends with
// stdin.
#include <algorithm>
#include <cstdio>
#include <iostream>

#include "server/fakes.h"

int main(int argc, char** argv) {
  using namespace deepwell;
  if (argc != 2 || !nlohmann::json::accept(argv[1])) return 1;
  const std::string call = "I will change it.\n<tool_call>\n" + std::string(argv[1]) + "\n</tool_call>";
  fakes::Script script;
  script.context = 1'000'000;
  script.choose = [&](const EngineRequest& request) {
    const auto& prompt = request.prompt;
    const std::vector<Token> result = fakes::tokens_of("tool\n");  // a turn of a tool, after its mark
    for (std::size_t i = 0; i + result.size() < prompt.size(); ++i) {
      if (prompt[i] == fakes::FakeTokenizer::kTurnStart &&
          std::equal(result.begin(), result.end(), prompt.begin() + static_cast<std::ptrdiff_t>(i) + 1))
        return fakes::tokens_of("Done: the file is changed.");
    }
    return fakes::tokens_of(call);
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
