#pragma once

#include <mutex>
#include <shared_mutex>

namespace coffer {

// Lets operations pass together and a commit's freeze alone. Operations that come while a freeze waits stand behind it,
// so that a freeze waits for those under way alone. Not recursive: who holds it must not enter again.
class Gate {
 public:
  class Pass {
   public:
    explicit Pass(Gate& gate) : lock_(gate.operations_, std::defer_lock) {
      std::lock_guard turn(gate.turn_);
      lock_.lock();
    }

   private:
    std::shared_lock<std::shared_mutex> lock_;
  };

  class Freeze {
   public:
    explicit Freeze(Gate& gate) : turn_(gate.turn_), lock_(gate.operations_) {}

   private:
    std::unique_lock<std::mutex> turn_;
    std::unique_lock<std::shared_mutex> lock_;
  };

 private:
  std::mutex turn_;
  std::shared_mutex operations_;
};

}  // namespace coffer
