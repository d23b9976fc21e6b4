// SPDX-License-Identifier: Apache-2.0
#include <exception>
#include <iostream>

#include "cli/app.h"

int main(int argc, char** argv) {
  try {
    return deepwell::run_cli(argc, argv, std::cout, std::cerr);
  } catch (const std::bad_alloc&) {
    std::cerr << "deepwell: out of memory; try a smaller model, --context or --parallel ('deepwell fit "
                 "MODEL' computes the need)\n";
  } catch (
      const std::exception& e) {  // nothing below should throw this far: what the world causes is a Result
    std::cerr << "deepwell: internal error: " << e.what() << "; please report it with the command line\n";
  }
  return 1;
}
