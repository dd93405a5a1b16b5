#include "daemon/posix_acl.h"

#include <gtest/gtest.h>

#include "base/wire.h"

namespace coffer {
namespace {

struct Entry {
  std::uint16_t tag, permissions;
  std::uint32_t id = 0xffffffff;
};
constexpr std::uint16_t kUserObject = 1, kUser = 2, kGroupObject = 4, kGroup = 8, kMask = 16, kOther = 32;

Bytes encoded(const std::vector<Entry>& entries, std::uint32_t version = 2) {
  WireWriter out;
  out.u32(version);
  for (const Entry& entry : entries) out.u16(entry.tag).u16(entry.permissions).u32(entry.id);
  return std::move(out).take();
}

// user::rwx user:1000:rw- group::r-x mask::rwx other::r--
const std::vector<Entry> kNamed = {{kUserObject, 7}, {kUser, 6, 1000}, {kGroupObject, 5}, {kMask, 7}, {kOther, 4}};
const std::vector<Entry> kPlain = {{kUserObject, 6}, {kGroupObject, 4}, {kOther, 0}};

TEST(PosixAcl, KeepsWhatItDecoded) {
  for (const auto& entries : {kNamed, kPlain}) {
    const auto acl = PosixAcl::decode(encoded(entries));
    ASSERT_TRUE(acl.ok());
    EXPECT_EQ(acl->encode(), encoded(entries));
  }
}

TEST(PosixAcl, TheMaskIsTheGroupsPermission) {
  EXPECT_EQ(PosixAcl::decode(encoded(kNamed))->mode_bits(), 0774U);
  EXPECT_EQ(PosixAcl::decode(encoded(kPlain))->mode_bits(), 0640U);
}

TEST(PosixAcl, SaysMoreThanAModeOnlyWithMoreEntries) {
  EXPECT_FALSE(PosixAcl::decode(encoded(kNamed))->only_mode());
  EXPECT_TRUE(PosixAcl::decode(encoded(kPlain))->only_mode());
}

TEST(PosixAcl, ChmodChangesTheMaskAndLeavesNames) {
  const PosixAcl changed = PosixAcl::decode(encoded(kNamed))->with_mode(0640);
  EXPECT_EQ(changed.encode(),
            encoded({{kUserObject, 6}, {kUser, 6, 1000}, {kGroupObject, 5}, {kMask, 4}, {kOther, 0}}));
}

TEST(PosixAcl, ChmodWithoutMaskChangesTheGroup) {
  const PosixAcl changed = PosixAcl::decode(encoded(kPlain))->with_mode(0751);
  EXPECT_EQ(changed.encode(), encoded({{kUserObject, 7}, {kGroupObject, 5}, {kOther, 1}}));
}

TEST(PosixAcl, InheritingGivesNoRightTheModeLacks) {
  const PosixAcl inherited = PosixAcl::decode(encoded(kNamed))->inherited(0666);
  EXPECT_EQ(inherited.mode_bits(), 0664U);
}

TEST(PosixAcl, RefusesWhatIsNoList) {
  const std::vector<Bytes> wrong = {
      {},
      encoded({}),
      encoded(kPlain, /*version=*/1),
      encoded({{kUserObject, 6}, {kGroupObject, 4}}),                                 // no others
      encoded({{kUserObject, 7}, {kUser, 6, 1000}, {kGroupObject, 5}, {kOther, 4}}),  // a name, no mask
      encoded({{kUserObject, 6}, {kUserObject, 6}, {kGroupObject, 4}, {kOther, 0}}),  // twice
      encoded({{kUserObject, 7}, {kUser, 6, 7}, {kUser, 6, 7}, {kGroupObject, 5}, {kMask, 7}, {kOther, 4}}),
      encoded({{kUserObject, 8}, {kGroupObject, 4}, {kOther, 0}}),           // no such right
      encoded({{kUserObject, 6}, {kGroupObject, 4}, {kOther, 0}, {64, 0}}),  // no such tag
  };
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    const auto acl = PosixAcl::decode(wrong[i]);
    ASSERT_FALSE(acl.ok()) << i;
    EXPECT_EQ(acl.code(), Code::kInvalidArgument) << i;
  }
  Bytes cut = encoded(kNamed);
  while (!cut.empty()) {
    cut.pop_back();
    EXPECT_FALSE(PosixAcl::decode(cut).ok()) << cut.size();
  }
}

}  // namespace
}  // namespace coffer
