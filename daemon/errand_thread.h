#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace coffer {

// One thread that runs errands in the order they came. Its end runs what is still waiting.
class ErrandThread {
 public:
  ErrandThread();
  ~ErrandThread();
  void post(std::function<void()> errand);

 private:
  void run();

  std::mutex mutex_;  // guards errands_, ending_
  std::condition_variable came_;
  std::deque<std::function<void()>> errands_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace coffer
