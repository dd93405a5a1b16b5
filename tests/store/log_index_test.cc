#include "store/log_index.h"

#include <gtest/gtest.h>

namespace coffer {
namespace {

TEST(LogIndex, SharedLocksGoTogetherAndExclusiveOnesStandAlone) {
  LogIndex index;
  LogIndex::Holder a, b;
  EXPECT_TRUE(index.lock_shared(a, 3, 1));
  EXPECT_TRUE(index.lock_shared(b, 3, 1));
  EXPECT_FALSE(index.lock_exclusive(a, 3, 1)) << "b reads";
  index.unlock(b, 3, 1);
  EXPECT_TRUE(index.lock_exclusive(a, 3, 1)) << "a alone reads";
  EXPECT_FALSE(index.lock_shared(b, 3, 1));
  index.unlock(a, 3, 1);
  EXPECT_TRUE(index.lock_shared(b, 3, 1));
}

TEST(LogIndex, ARangeIsLockedWholeOrNotAtAll) {
  LogIndex index;
  LogIndex::Holder a, b, c;
  ASSERT_TRUE(index.lock_shared(a, 5, 1));
  EXPECT_FALSE(index.lock_exclusive(b, 4, 4));
  EXPECT_TRUE(index.lock_exclusive(c, 4, 1)) << "the refused range holds nothing";
  index.unlock(c, 4, 1);
  index.unlock(a, 5, 1);
  EXPECT_TRUE(index.lock_exclusive(b, 4, 4));
  for (int lock = 4; lock < 8; ++lock) EXPECT_FALSE(index.lock_shared(a, lock, 1));
  index.unlock(b, 0, LogIndex::kLocks);
  EXPECT_TRUE(index.lock_exclusive(a, 0, LogIndex::kLocks));
}

TEST(LogIndex, RegionsAreMadeWhenAskedForAndShared) {
  LogIndex index;
  EXPECT_EQ(index.region(0, 32768, /*extend=*/false), nullptr);
  volatile void* first = index.region(1, 32768, /*extend=*/true);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(index.region(1, 32768, /*extend=*/false), first);
  EXPECT_NE(index.region(0, 32768, /*extend=*/false), first);
  EXPECT_EQ(static_cast<volatile std::uint8_t*>(first)[32767], 0);
}

}  // namespace
}  // namespace coffer
