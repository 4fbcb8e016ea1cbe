#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <new>
#include <type_traits>

#include "vid2vox/runtime/interrupt.hpp"

namespace vid2vox::programs {

/// Runs a program's body (returning int or nothing). An exception becomes one line "error: ..." on
/// standard error and exit code 1, a stop by the user such a line and code 130 (as shells have it).
template <class Body>
int run_main(const Body& body) {
  // Line by line also into a file or a pipe, where it would otherwise come after the progress on
  // standard error that it explains.
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<const Body&>>) {
      body();
      return 0;
    } else {
      return body();
    }
  } catch (const runtime::Stopped& stop) {
    constexpr int kStoppedCode = 128 + SIGINT;
    std::fflush(stdout);
    std::fprintf(stderr, "%s\n", stop.what());
    return kStoppedCode;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "error: not enough memory\n");
  } catch (const std::exception& failure) {
    std::fflush(stdout);
    std::fprintf(stderr, "error: %s\n", failure.what());
  }
  return 1;
}

/// Parses the command line, then runs the body. `--help` exits with 0, a wrong command line with
/// CLI11's own code (above 100) and its message.
template <class Body>
int run_main(CLI::App& app, int argc, char** argv, const Body& body) {
  CLI11_PARSE(app, argc, argv);
  return run_main(body);
}

}  // namespace vid2vox::programs
