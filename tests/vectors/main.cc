// postern-conformance: cases on standard input, outputs on standard output, as README.md of this folder describes.
#include <iostream>
#include <string>

#include "tests/vectors/case_line.h"

int main() {
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    std::cout << postern::vectors::AnswerLine(line) << '\n' << std::flush;
  }
  return std::cout ? 0 : 1;
}
