#include "store/numbers.h"

namespace coffer {

Status Numbers::open_locked() {
  COFFER_ASSIGN(next_, catalog_.number(name_, first_));
  end_ = next_ + kLease;
  return catalog_.set_number(name_, end_);
}

Result<std::uint64_t> Numbers::take() {
  std::lock_guard lock(mutex_);
  if (next_ + kLease / 2 >= end_) {
    std::lock_guard catalog_lock(catalog_.mutex());
    COFFER_TRY(catalog_.set_number(name_, end_ + kLease));
    end_ += kLease;
  }
  return next_++;
}

}  // namespace coffer
