#include "daemon/errand_thread.h"

#include <utility>

namespace coffer {

ErrandThread::ErrandThread() : thread_([this] { run(); }) {}

ErrandThread::~ErrandThread() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  came_.notify_one();
  thread_.join();
}

void ErrandThread::post(std::function<void()> errand) {
  {
    const std::lock_guard lock(mutex_);
    errands_.push_back(std::move(errand));
  }
  came_.notify_one();
}

void ErrandThread::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    came_.wait(lock, [&] { return ending_ || !errands_.empty(); });
    if (errands_.empty()) return;
    std::function<void()> errand = std::move(errands_.front());
    errands_.pop_front();
    lock.unlock();
    errand();
    lock.lock();
  }
}

}  // namespace coffer
