#include "tests/cli/fake_server.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/program.h"

namespace coffer {
namespace {

std::string make_folder() {
  std::string path = std::filesystem::temp_directory_path() / "coffer-cli-XXXXXX";
  EXPECT_NE(mkdtemp(path.data()), nullptr);
  return path;
}

int listen_at(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  EXPECT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(listen(fd, 8), 0);
  return fd;
}

}  // namespace

FakeServer::FakeServer(Answer answer) : folder_(make_folder()), listening_(listen_at(socket())) {
  std::ofstream(credentials()) << "[coffer]\naws_access_key_id = COFFTESTTESTTESTTEST\n"
                                  "aws_secret_access_key = notSecretAtAll\nregion = eu-north-7\n";
  auto started = HttpServer::start(
      listening_,
      [this, answer = std::move(answer)](const HttpRequest& request) {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
        return answer(request);
      },
      log_nowhere());
  EXPECT_TRUE(started.ok());
  if (started.ok()) server_ = *std::move(started);
}

FakeServer::~FakeServer() {
  server_.reset();
  close(listening_);
  std::filesystem::remove_all(folder_);
}

std::vector<HttpRequest> FakeServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

ScratchFolder::ScratchFolder() : path_(make_folder()) {}
ScratchFolder::~ScratchFolder() { std::filesystem::remove_all(path_); }

Outcome run(std::vector<std::string> arguments) {
  std::ostringstream out, err;
  Console console{out, err};
  const int exit = run_program(arguments, console);
  return {exit, out.str(), err.str()};
}

Outcome run_against(const FakeServer& server, std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--socket", server.socket(), "--credentials", server.credentials()});
  return run(std::move(arguments));
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

}  // namespace coffer
