#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace coffer {

// Which of the threads that serve receives the next request: one at a time. While it serves one it keeps the turn, gives
// it away, or lends it: another thread then takes it only when serving lasts, for those who would wait behind. To wake
// another thread for every fsync costs more than a short one takes, and the next request would find that one asleep.
// Thread-safe.
class ReceivingTurn {
 public:
  // The turn as one thread has it, or has it not.
  class Holder {
   public:
    explicit Holder(ReceivingTurn& turn) : turn_(turn) {}
    ~Holder() { give(); }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;

    void take();  // waits for it; at once where it is this thread's still
    void give();
    void lend();  // until take() or give(); the same as give() after loans that were missed
    // Whether the last take() was the end of a loan.
    bool came_back() const { return came_back_; }
    // Once it came back: a request of somebody else had waited for that.
    void was_missed();

   private:
    ReceivingTurn& turn_;
    std::uint64_t tenure_ = 0;
    bool came_back_ = false;
  };

 private:
  bool watch(std::unique_lock<std::mutex>& lock);
  void give_locked();
  void miss_locked();

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::uint64_t tenures_ = 0;  // so far
  std::uint64_t tenure_ = 0;   // whose the turn is; 0 where it is free
  bool is_lent_ = false;
  std::uint64_t loans_ = 0;  // so far
  bool is_watched_ = false;  // a thread that waits sees to it that no loan lasts
  bool last_was_missed_ = false;
  unsigned missed_ = 0;  // loans that lasted or held others up, one after the other
  unsigned gifts_ = 0;   // loans to come that are none
};

}  // namespace coffer
