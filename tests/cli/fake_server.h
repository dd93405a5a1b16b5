#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include "admin/http_server.h"

namespace coffer {

// A daemon's admin socket that answers what the test says, in a folder of its own with the access key to it.
class FakeServer {
 public:
  using Answer = std::function<HttpResponse(const HttpRequest&)>;
  explicit FakeServer(Answer answer);
  ~FakeServer();

  std::string socket() const { return folder_ + "/admin.sock"; }
  std::string credentials() const { return folder_ + "/credentials"; }
  const std::string& folder() const { return folder_; }
  std::vector<HttpRequest> requests() const;  // so far, in their order

 private:
  std::string folder_;
  int listening_ = -1;
  mutable std::mutex mutex_;  // requests_
  std::vector<HttpRequest> requests_;
  std::unique_ptr<HttpServer> server_;
};

// A folder that goes with everything in it.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// What one run of the program came to.
struct Outcome {
  int exit = -1;
  std::string out, err;
};
Outcome run(std::vector<std::string> arguments);
Outcome run_against(const FakeServer& server, std::vector<std::string> arguments);  // with --socket and --credentials

std::string read_file(const std::string& path);

}  // namespace coffer
