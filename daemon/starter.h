#pragma once

#include <optional>
#include <string>

namespace coffer {

// Who started the daemon and waits for the mount: told once, with one line over a pipe, READY or what went wrong; the
// exit code says the rest. Without a pipe nobody waits.
class Starter {
 public:
  explicit Starter(std::optional<int> fd) : fd_(fd) {}
  ~Starter();
  Starter(const Starter&) = delete;
  Starter& operator=(const Starter&) = delete;

  void ready() { say("READY"); }
  void failed(const std::string& line) { say(line); }
  bool waits() const { return fd_.has_value(); }

 private:
  void say(const std::string& line);
  std::optional<int> fd_;
};

}  // namespace coffer
