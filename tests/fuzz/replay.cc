#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "tests/fuzz/fuzz.h"

// Runs a target over every file of a folder, and over what is left of each when it is cut short or a byte of it
// changes: FOLDER. Without a file it fails.
namespace {

using Input = std::vector<std::uint8_t>;

void run(const Input& input) { LLVMFuzzerTestOneInput(input.data(), input.size()); }

void run_with_neighbours(const Input& input) {
  constexpr std::size_t kNeighbours = 32;
  run(input);
  const auto step = std::max<std::size_t>(1, input.size() / kNeighbours);
  for (std::size_t at = 0; at < input.size(); at += step) {
    run(Input(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(at)));
    auto changed = input;
    changed[at] ^= 0x15;
    run(changed);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& path : files) {
    std::fprintf(stderr, "%s\n", path.filename().c_str());
    std::ifstream file(path, std::ios::binary);
    run_with_neighbours(Input(std::istreambuf_iterator<char>(file), {}));
  }
  std::printf("%zu inputs and their neighbours\n", files.size());
  return files.empty() ? 1 : 0;
}
