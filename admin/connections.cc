#include "admin/connections.h"

#include <sys/socket.h>

#include "base/server_limits.h"

namespace coffer {

Connections::Connections(std::size_t places, std::chrono::seconds seconds_max, std::chrono::milliseconds grace)
    : places_(places), seconds_max_(seconds_max), grace_(grace), watcher_([this] { watch(); }) {}

Connections::~Connections() {
  stop();
  watcher_.join();
}

void Connections::stop() {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

Connections::Clients::iterator Connections::longest_waiting() {
  auto found = clients_.end();
  for (auto client = clients_.begin(); client != clients_.end(); ++client) {
    if (client->second.served || client->second.ended) continue;
    if (found == clients_.end() || client->second.since < found->second.since) found = client;
  }
  return found;
}

// Under the mutex, so that the descriptor is still this connection's.
void Connections::end(Clients::iterator client) {
  client->second.ended = true;
  ++ended_;
  shutdown(client->first, SHUT_RDWR);
}

void Connections::opened(int fd) {
  std::unique_lock lock(mutex_);
  const auto last_chance = Clock::now() + grace_;
  while (!stopping_ && clients_.size() - ended_ >= places_) {
    const auto oldest = longest_waiting();
    const auto due = oldest == clients_.end() ? last_chance : oldest->second.since + grace_;
    if (const auto now = Clock::now(); oldest != clients_.end() && now >= due) {
      end(oldest);
    } else if (now >= last_chance) {
      break;  // all are served, or but just were: the library's own limit is a little further on
    } else {
      changed_.wait_until(lock, due);
    }
  }
  clients_.insert_or_assign(fd, Client{Clock::now()});
  changed_.notify_all();
  // They need a moment to go, and only then there is room for more.
  if (!stopping_ && ended_ > kConnectionsEnding / 2) changed_.wait_for(lock, grace_ / 8, [this] { return stopping_; });
}

void Connections::served(int fd) {
  std::lock_guard lock(mutex_);
  if (const auto client = clients_.find(fd); client != clients_.end()) client->second.served = true;
}

void Connections::awaited(int fd) {
  std::lock_guard lock(mutex_);
  const auto client = clients_.find(fd);
  if (client == clients_.end()) return;
  client->second.served = false;
  client->second.since = Clock::now();
  changed_.notify_all();
}

void Connections::closed(int fd) {
  std::lock_guard lock(mutex_);
  const auto client = clients_.find(fd);
  if (client == clients_.end()) return;
  if (client->second.ended) --ended_;
  clients_.erase(client);
  changed_.notify_all();
}

void Connections::watch() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto oldest = longest_waiting();
    if (oldest == clients_.end()) {
      changed_.wait(lock);
    } else if (const auto due = oldest->second.since + seconds_max_; due > Clock::now()) {
      changed_.wait_until(lock, due);
    } else {
      end(oldest);
    }
  }
}

}  // namespace coffer
