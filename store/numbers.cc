#include "store/numbers.h"

namespace coffer {

Status Numbers::open_locked() {
  COFFER_ASSIGN(next_, catalog_.number(name_, first_));
  end_ = next_;
  return {};
}

Result<std::uint64_t> Numbers::take() {
  std::lock_guard lock(mutex_);
  if (next_ == end_) {
    std::lock_guard catalog_lock(catalog_.mutex());
    COFFER_TRY(catalog_.set_number(name_, end_ + kLease));
    end_ += kLease;
  }
  return next_++;
}

}  // namespace coffer
