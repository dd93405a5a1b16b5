#include "daemon/starter.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

namespace coffer {
namespace {

std::string heard(int fd) {
  std::string word(8192, '\0');
  const ssize_t size = read(fd, word.data(), word.size());
  word.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  close(fd);
  return word;
}

TEST(Starter, HearsOneLineAndThenTheEnd) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Starter starter(ends[1]);
  EXPECT_TRUE(starter.waits());
  starter.ready();
  EXPECT_FALSE(starter.waits());
  starter.failed("too late");
  EXPECT_EQ(heard(ends[0]), "READY\n");
}

TEST(Starter, HearsWhatWentWrongAtABoundedLength) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Starter starter(ends[1]);
  starter.failed(std::string(100'000, 'x'));
  const std::string word = heard(ends[0]);
  EXPECT_EQ(word.size(), 4096U);
  EXPECT_EQ(word.back(), '\n');
}

TEST(Starter, OneThatHasGoneIsNoHarm) {
  std::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  Starter starter(ends[1]);
  starter.ready();
  Starter nobody(std::nullopt);
  nobody.ready();
}

}  // namespace
}  // namespace coffer
