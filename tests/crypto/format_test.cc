// Envelopes, blobs and chunks that another implementation made from docs/FORMAT.md alone (Python's cryptography, fixed
// keys, salts and nonces). They must open for as long as format version 1 is read.

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "crypto/bucket_keys.h"
#include "crypto/keyring.h"
#include "crypto/local_kms.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_kms_records.h"

namespace coffer {
namespace {

constexpr std::string_view kKeyId = "123e4567-e89b-42d3-a456-426614174000";

// The KMS key's material, wrapped.
constexpr std::string_view kMaterial =
    "0101010101010101010101010101010101010101010101010101010101010101020202020202020202020202dcb2cb34238a"
    "7ffdf1d00166d9229a8dfb490e10c547047d19ddbdb4ff79989afd035255324fbf9f751926d5cd5912e5";

struct Sealed {
  SseAlgorithm algorithm;
  std::string_view envelope, seal, cipher;
};
constexpr Sealed kSealed[] = {
    {SseAlgorithm::kAes256,
     "01010203000000000000000000000000002a00000000000000030000000040000001170061726e3a6177733a73333a3a3a62"
     "75636b65742f6b6579000001015c000303030303030303030303030303030303030303030303030303030303030303040404"
     "0404040404040404044770ec07d959a16e59bbf60cefc6aae82abe2279e1dcd8424600c5cc7f70184eb728cc685f294100de"
     "ccdfb2f8590dd497b648b8b183f4ca139daed07a7f1d945cb479a0d1db960093e57145180b7c63",
     "0f0f0f0f0f0f0f0f0f0f0f0ffdc317ddc175e06f881895042c86bbc5",
     "8eaf760d7291b95e97d6c562ed74fef2dff2b57034487cf19b5293c313b5ccfc"},
    {SseAlgorithm::kAwsKms,
     "01010203000000000000000000000000002a00000000000000030000000040000002170061726e3a6177733a73333a3a3a62"
     "75636b65742f6b65794b0061726e3a6177733a6b6d733a75732d656173742d313a3030303030303030303030303a6b65792f"
     "31323365343536372d653839622d343264332d613435362d34323636313431373430303001028d0001123e4567e89b42d3a4"
     "564266141740005a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a0505050505050505050505"
     "0505050505050505050505050505050505050505050606060606060606060606068e2906fd25b0001bbe6133dd9397304c63"
     "e7da9da4cfd88d521e8b5f26f38fbaab9b1e065d8a615b96588ca1dd83041a9d1c55dc0182e6f3de66cfa0e182ffd296afba"
     "80531f74df900ca23072be88df",
     "1010101010101010101010101579a5583c80e2b84cd880fe2642c332",
     "ba44157d93d3a4b8f9bbaa9f75bc0249309a31c5b2f57e05d9afb950588571b9"},
    {SseAlgorithm::kAwsKms,
     "01010203000000000000000000000000002a00000000000000030000000040000002130061726e3a6177733a73333a3a3a62"
     "75636b65744b0061726e3a6177733a6b6d733a75732d656173742d313a3030303030303030303030303a6b65792f31323365"
     "343536372d653839622d343264332d613435362d3432363631343137343030300103ec00018d0001123e4567e89b42d3a456"
     "4266141740005a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a070707070707070707070707"
     "0707070707070707070707070707070707070707080808080808080808080808902bfd5c98580f493bcb9f4268a0424f1346"
     "192dd866edd2804c2559efb86cf689fe9a68629ec663b3e71adad4bc32f20909090909090909090909090909090909090909"
     "0909090909090909090909090a0a0a0a0a0a0a0a0a0a0a0a33a0f7c0e711ccba6518bd4a44e0f533c6a4962fe82aeea8e757"
     "e8b8ba7b7a854f8882329f2ea6d43110df58847a3fff0b27f9a798bcedb310f7b2159b17d6aeb134563b5225a72e577c21d4"
     "f80df952",
     "1111111111111111111111117e792fe171b94c67b05595ac68bbd460",
     "75d72ae4cbbc3d08ebb700b618bf7b6b72d8ee71d672120d74f6f28c11e24494"},
    {SseAlgorithm::kAwsKmsDsse,
     "01010203000000000000000000000000002a00000000000000030000000040000003170061726e3a6177733a73333a3a3a62"
     "75636b65742f6b65794b0061726e3a6177733a6b6d733a75732d656173742d313a3030303030303030303030303a6b65792f"
     "31323365343536372d653839622d343264332d613435362d34323636313431373430303002028d0001123e4567e89b42d3a4"
     "564266141740005a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a0b0b0b0b0b0b0b0b0b0b0b"
     "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0c0c0c0c0c0c0c0c0c0c0c0cd4a771c336bad75e869490c2945895ab0b"
     "fd83d64b4c29518e5e2df2a33aaea56dc944ce10fb413f20bd577359907cba0553f8b80c288283525abf9c8637fe2bab9080"
     "2961da694c7156bd88c6469775015c000d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0e0e"
     "0e0e0e0e0e0e0e0e0e0e57a50b8e6a464e9b7d5556f2180b1d9331f2bed560638a8a1e5d751b8ef14c17795e59384de787a3"
     "bc7078ad563d05577aaa773ca9893b0f1537aab9d8244f4fe1c07c461b95a0daf05e1d496e1056c6",
     "121212121212121212121212458437522d591bd0c1a7773e0939d07e131313131313131313131313eb7cf2d9ae70f8dc9019"
     "af65ce93dca2",
     "5567e0312871a1bb27b4b52cf961cf106d6cc052d331c6e36a4a9e2d33bb6395"},
};

class FormatTest : public testing::Test {
 protected:
  FormatTest() {
    KeyMetadata key{.key_id = std::string(kKeyId),
                    .arn = kms_key_arn(realm, kKeyId),
                    .account = realm.account,
                    .description = {},
                    .state = KeyState::kEnabled,
                    .manager = KeyManager::kCustomer,
                    .created_ns = 0,
                    .deletion_ns = {},
                    .current_material_id = hex(Bytes(32, 0x5a))};
    records.keys.emplace(key.key_id, KmsKeyRecord{key, {{key.current_material_id, 0, unhex(kMaterial).value()}}});
    kms = LocalKms::open(schedule, suite, records, clock, realm).value();
    bucket_keys = std::make_unique<BucketKeys>(*kms, suite, clock);
    keyring = std::make_unique<Keyring>(schedule, suite, *kms, *bucket_keys);
  }

  AeadSuite suite = AeadSuite::detect().value();
  KeySchedule schedule{Key::copy_of(Bytes(32, 7)), StoreId{1, 2, 3}};
  ManualClock clock;
  Realm realm{AccountId::parse("000000000000").value(), Region::parse("us-east-1").value()};
  MemoryKmsRecords records;
  std::unique_ptr<LocalKms> kms;
  std::unique_ptr<BucketKeys> bucket_keys;
  std::unique_ptr<Keyring> keyring;
};

TEST_F(FormatTest, WhatAnotherImplementationSealedOpens) {
  for (const Sealed& sealed : kSealed) {
    const auto envelope = Envelope::decode(unhex(sealed.envelope).value());
    ASSERT_TRUE(envelope.ok());
    EXPECT_EQ(envelope->algorithm, sealed.algorithm);
    EXPECT_EQ(envelope->object, 42U);
    EXPECT_EQ(envelope->generation, 3U);
    const auto aead = keyring->unlock(*envelope, Principal::root_of(realm.account));
    ASSERT_TRUE(aead.ok()) << aead.error().message;
    Bytes bytes = unhex(sealed.cipher).value();
    ASSERT_TRUE((*aead)->open(as_bytes("aad of a chunk"), bytes, unhex(sealed.seal).value(), bytes).ok());
    EXPECT_EQ(as_text(bytes), "sealed by another implementation");
  }
}

}  // namespace
}  // namespace coffer
