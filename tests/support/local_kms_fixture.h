#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "crypto/local_kms.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_kms_records.h"

namespace coffer {

inline constexpr std::int64_t kDayNs = std::int64_t{86'400} * 1'000'000'000;

template <class T>
void expect_error(const Result<T>& result, Code code, std::string_view message) {
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.code(), code) << code_name(result.code());
  EXPECT_EQ(result.error().message, message);
}

// A LocalKms over records in memory, by a clock that stands still; reopen() is a restart of the process.
class LocalKmsTest : public testing::Test {
 protected:
  LocalKmsTest() { reopen(); }

  void reopen() {
    kms = nullptr;
    auto opened = LocalKms::open(schedule, suite, records, clock, realm);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    kms = *std::move(opened);
  }

  std::string make_key() { return kms->create_key("a key").value().arn; }
  std::uint64_t calls(const std::string& operation) const { return kms->call_counts().at(operation); }

  AeadSuite suite = AeadSuite::detect().value();
  KeySchedule schedule{Key::random(), StoreId{1, 2, 3}};
  MemoryKmsRecords records;
  ManualClock clock;
  Realm realm{AccountId::parse("000000000000").value(), Region::parse("us-east-1").value()};
  Principal owner = Principal::root_of(realm.account);
  Principal stranger = Principal::root_of(AccountId::parse("999999999999").value());
  EncryptionContext context{{"aws:s3:arn", "arn:aws:s3:::bucket/key"}};
  std::unique_ptr<LocalKms> kms;
};

}  // namespace coffer
