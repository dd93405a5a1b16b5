#include "store/scrub.h"
#include "store/store_state.h"

// The online check of everything: its place is put down in the catalog, so that a later one goes on there.
namespace coffer {
namespace {

constexpr std::string_view kPlace = "scrub";
constexpr std::uint64_t kPlacePages = kNamePages + kScrubAgainMax * sizeof(InodeNumber) / kPageSize + 1;
constexpr std::int64_t kMillisecondNs = 1'000'000;
constexpr std::int64_t kSecondMs = 1000;

}  // namespace

Status Store::State::at_rest(const std::function<Status()>& work) {
  std::lock_guard lock(commit_mutex);
  COFFER_TRY(commit(Commit::kSoft, work));
  return {};
}

// An empty place: none is left.
Status Store::State::put_down_scrub(BytesView place) {
  Gate::Pass pass(gate);
  std::lock_guard lock(catalog.mutex());
  COFFER_TRY(reserve_pages_locked(kPlacePages));
  COFFER_TRY(checked(place.empty() ? catalog.remove_blob(kPlace) : catalog.set_blob(kPlace, place)));
  touch();
  return {};
}

void Store::State::put_down_scrub() {
  std::shared_ptr<Scrub> running;
  {
    std::lock_guard lock(scrub_mutex);
    running = scrub_runs ? scrub : nullptr;
  }
  // A full disk does without: the next one begins a little earlier.
  if (running) (void)put_down_scrub(running->place());
}

Status Store::start_scrub(std::int64_t rate_mib, ScrubFrom from) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  std::lock_guard lock(s.scrub_mutex);
  s.scrub_rate_mib = rate_mib;
  if (s.scrub_runs && from == ScrubFrom::kWhereItWas) return {};
  std::optional<Bytes> place;
  if (from == ScrubFrom::kWhereItWas) {
    std::lock_guard catalog_lock(s.catalog.mutex());
    COFFER_ASSIGN(place, s.catalog.blob(kPlace));
  }
  COFFER_ASSIGN(s.scrub, Scrub::begin({s.catalog, s.disk, s.keyring, s.headers, s.principal, s.scrub_interrupted,
                                       [&s](const auto& work) { return s.at_rest(work); },
                                       [&s](const std::string& arn) { return s.held(arn); }, s.scrub_keys},
                                      place.value_or(Bytes())));
  s.scrub_runs = true;
  s.scrub_failure.reset();
  return {};
}

std::optional<std::int64_t> Store::scrub_step() {
  auto& s = *state_;
  std::shared_ptr<Scrub> running;
  std::int64_t rate_mib = 0;
  {
    std::lock_guard lock(s.scrub_mutex);
    if (!s.scrub_runs || s.scrub_interrupted) return std::nullopt;
    running = s.scrub;
    rate_mib = s.scrub_rate_mib;
  }
  const auto begin_ns = s.clock.monotonic_ns();
  const auto before = running->progress().done;
  s.scrubbing = true;
  const auto more = running->step();
  s.scrubbing = false;
  const auto now_ns = s.clock.monotonic_ns();
  std::lock_guard lock(s.scrub_mutex);
  if (s.scrub != running || s.scrub_interrupted) return 0;
  if (!more || !*more) {
    s.scrub_runs = false;
    if (more) {
      (void)s.put_down_scrub(BytesView());
    } else {
      s.scrub_failure = more.error();
      (void)s.put_down_scrub(running->place());
    }
    return 0;
  }
  if (now_ns - s.scrub_put_down_ns >= kScrubSaveMs * kMillisecondNs) {
    s.scrub_put_down_ns = now_ns;
    (void)s.put_down_scrub(running->place());
  }
  const auto mib = static_cast<std::int64_t>(running->progress().done - before) >> 10;  // KiB
  const auto due_ms = mib * kSecondMs / (rate_mib << 10);
  return std::max<std::int64_t>(due_ms - (now_ns - begin_ns) / kMillisecondNs, 0);
}

void Store::stop_scrub() { state_->scrub_interrupted = true; }

Store::ScrubState Store::scrub_state() const {
  std::lock_guard lock(state_->scrub_mutex);
  ScrubState found;
  if (!state_->scrub) return found;
  found.running = state_->scrub_runs;
  const auto progress = state_->scrub->progress();
  found.done = progress.done;
  found.total = progress.total;
  found.report = state_->scrub->report();
  found.failure = state_->scrub_failure;
  return found;
}

}  // namespace coffer
