#include "store/key_waits.h"

namespace coffer {
namespace {

thread_local KeyWaits* told_here = nullptr;

}  // namespace

void KeyWaits::tell_of_this_thread(KeyWaits* told) { told_here = told; }

KeyWait::KeyWait(SseAlgorithm algorithm) : told_(algorithm == SseAlgorithm::kAes256 ? nullptr : told_here) {
  if (told_ != nullptr) begun_ = told_->begin();
}

KeyWait::~KeyWait() {
  if (told_ != nullptr && begun_.ok()) told_->end();
}

}  // namespace coffer
