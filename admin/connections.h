#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <map>
#include <mutex>
#include <thread>

namespace coffer {

// Whom a listener's clients keep waiting, and since when: a request must arrive whole, and its answer must be taken,
// within a time, however either drips; and where all places are taken, whoever has kept us waiting longest makes room,
// so that silent connections keep nobody out. Ends a connection by shutdown(2): its thread then sees its end and closes
// it. Thread-safe.
class Connections {
 public:
  using Clock = std::chrono::steady_clock;

  // seconds_max: from the end of an answer to the next request's last byte, and again for its answer to be taken.
  Connections(std::size_t places, std::chrono::seconds seconds_max, std::chrono::milliseconds grace);
  ~Connections();  // ends nobody
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  // A connection is there. Where all places are taken it first waits until one has had its grace, and ends that.
  void opened(int fd);
  void served(int fd);   // its request is whole: its handler's time is not the client's
  void awaited(int fd);  // an answer is ready to be taken, or another request to be sent
  void closed(int fd);   // before the descriptor is closed
  void stop();           // nobody waits for a place any more

 private:
  struct Client {
    Clock::time_point since;  // it keeps us waiting
    bool served = false;      // or we it
    bool ended = false;       // and is going
  };
  using Clients = std::map<int, Client>;

  void watch();
  Clients::iterator longest_waiting();
  void end(Clients::iterator client);

  const std::size_t places_;
  const std::chrono::seconds seconds_max_;
  const std::chrono::milliseconds grace_;

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  Clients clients_;
  std::size_t ended_ = 0;  // of clients_
  bool stopping_ = false;
  std::thread watcher_;
};

}  // namespace coffer
