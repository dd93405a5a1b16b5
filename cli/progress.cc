#include "cli/progress.h"

namespace coffer {
namespace {

constexpr std::int64_t kQuietNs = 1'000'000'000;
constexpr std::int64_t kRedrawNs = 100'000'000;  // faster than this no eye follows

}  // namespace

Progress::Progress(const Console& console, const Clock& clock, std::string what)
    : console_(console), clock_(clock), what_(std::move(what)), next_ns_(clock.monotonic_ns() + kQuietNs) {}

Progress::~Progress() {
  if (shown_) console_.err << "\r\x1b[K" << std::flush;
}

void Progress::show(std::uint64_t done, std::uint64_t total) {
  if (!console_.err_is_terminal || clock_.monotonic_ns() < next_ns_) return;
  next_ns_ = clock_.monotonic_ns() + kRedrawNs;
  console_.err << '\r' << what_;
  if (total > 0) console_.err << ' ' << done << " of " << total << " (" << done * 100 / total << " %)";
  console_.err << "\x1b[K" << std::flush;
  shown_ = true;
}

}  // namespace coffer
