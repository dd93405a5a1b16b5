#include "admin/s3_xml.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "base/limits.h"
#include "base/server_limits.h"

namespace coffer {
namespace {

const std::string kNamespace = "http://s3.amazonaws.com/doc/2006-03-01/";

std::string document(std::string_view rules) {
  return "<ServerSideEncryptionConfiguration xmlns=\"" + kNamespace + "\">" + std::string(rules) +
         "</ServerSideEncryptionConfiguration>";
}
std::string rule(std::string_view inside) { return document("<Rule>" + std::string(inside) + "</Rule>"); }
std::string apply(std::string_view inside) {
  return rule("<ApplyServerSideEncryptionByDefault>" + std::string(inside) + "</ApplyServerSideEncryptionByDefault>");
}

const std::string kAes = "<SSEAlgorithm>AES256</SSEAlgorithm>";
const std::string kKms = "<SSEAlgorithm>aws:kms</SSEAlgorithm>";
const std::string kDefault = "<ApplyServerSideEncryptionByDefault>" + kAes + "</ApplyServerSideEncryptionByDefault>";

std::string code_of(const S3Result<SseRule>& result) {
  const auto* error = std::get_if<S3Error>(&result);
  return error == nullptr ? "" : error->code;
}

TEST(S3Xml, ReadsTheDocumentationsExamples) {  // SEED-76, 77, 78
  const auto aes = parse_encryption_configuration(
      "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"> <Rule> "
      "<ApplyServerSideEncryptionByDefault> <SSEAlgorithm>AES256</SSEAlgorithm> </ApplyServerSideEncryptionByDefault> "
      "</Rule> </ServerSideEncryptionConfiguration>");
  ASSERT_EQ(code_of(aes), "");
  EXPECT_EQ(std::get<SseRule>(aes), SseRule{});
  for (const std::string algorithm : {"aws:kms", "aws:kms:dsse"}) {
    const auto kms = parse_encryption_configuration(
        "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"> <Rule> "
        "<ApplyServerSideEncryptionByDefault> <SSEAlgorithm>" +
        algorithm +
        "</SSEAlgorithm> <KMSKeyID>arn:aws:kms:us-east-1:1234/5678example</KMSKeyID> "
        "</ApplyServerSideEncryptionByDefault> </Rule> </ServerSideEncryptionConfiguration>");
    ASSERT_EQ(code_of(kms), "");
    EXPECT_EQ(sse_name(std::get<SseRule>(kms).algorithm), algorithm);
    EXPECT_EQ(std::get<SseRule>(kms).kms_key, "arn:aws:kms:us-east-1:1234/5678example");
    const auto printed = encryption_configuration(std::get<SseRule>(kms));
    EXPECT_NE(printed.find("<KMSMasterKeyID>arn:aws:kms:us-east-1:1234/5678example</KMSMasterKeyID>"),
              std::string::npos);
    EXPECT_EQ(printed.find("KMSKeyID"), std::string::npos);
  }
}

TEST(S3Xml, TakesWhatTheSchemaAllows) {
  struct Case {
    std::string body;
    SseRule rule;
  };
  const SseRule kms{SseAlgorithm::kAwsKms, "k", false, {}};
  for (const auto& c : std::vector<Case>{
           {apply(kKms + "<KMSMasterKeyID>k</KMSMasterKeyID>"), kms},
           {apply("<KMSMasterKeyID>k</KMSMasterKeyID>" + kKms), kms},  // SEED-48: any order
           {rule("<BucketKeyEnabled>true</BucketKeyEnabled>" + kDefault), {SseAlgorithm::kAes256, {}, true, {}}},
           {rule(kDefault + "<BucketKeyEnabled>false</BucketKeyEnabled>"), {}},
           {"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + apply(kAes), {}},  // SEED-46
           {"<?xml version='1.0' encoding='utf-8' standalone='yes'?>" + apply(kAes), {}},
           {"\xef\xbb\xbf" + apply(kAes), {}},
           {"\n\t" + apply(kAes) + "\r\n", {}},
           {"<!-- R&D <x> -->" + apply("<!-- a -->" + kAes), {}},
           {apply("<SSEAlgorithm>\n  aws:kms\t</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>"), kms},  // PBE-57
           {rule(kDefault + "<BucketKeyEnabled> true </BucketKeyEnabled>"), {SseAlgorithm::kAes256, {}, true, {}}},
           {apply(kKms + "<KMSMasterKeyID><![CDATA[k]]></KMSMasterKeyID>"), kms},
           {apply(kKms + "<KMSMasterKeyID>&#107;</KMSMasterKeyID>"), kms},
           {apply(kKms + "<KMSMasterKeyID>&#x6B;</KMSMasterKeyID>"), kms},
           {apply(kKms + "<KMSMasterKeyID>a&amp;b</KMSMasterKeyID>"), {SseAlgorithm::kAwsKms, "a&b", false, {}}},
           {"<ServerSideEncryptionConfiguration><Rule>" + kDefault + "</Rule></ServerSideEncryptionConfiguration>", {}},
           {"<ServerSideEncryptionConfiguration xmlns=\"" + kNamespace +
                "\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><Rule>" + kDefault +
                "</Rule></ServerSideEncryptionConfiguration>",
            {}},
           // PBE-16
           {rule(kDefault + "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>"),
            {SseAlgorithm::kAes256, {}, false, {BlockedEncryption::kSseC}}},
           {rule("<BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes>"),
            {SseAlgorithm::kAes256, {}, false, {BlockedEncryption::kNone}}}}) {
    const auto result = parse_encryption_configuration(c.body);
    ASSERT_EQ(code_of(result), "") << c.body;
    EXPECT_EQ(std::get<SseRule>(result), c.rule) << c.body;
    const auto again = parse_encryption_configuration(encryption_configuration(c.rule));
    ASSERT_EQ(code_of(again), "") << c.body;
    EXPECT_EQ(std::get<SseRule>(again), c.rule) << c.body;
  }
}

TEST(S3Xml, RefusesEverythingElse) {
  for (const auto& body : std::vector<std::string>{
           // PBE-02
           "", " ", "x", "{}", "<", "<a", "<ServerSideEncryptionConfiguration/>",
           document("").substr(0, document("").size() - 3), apply(kAes) + "<x/>", apply(kAes) + "x", "x" + apply(kAes),
           apply(kAes) + apply(kAes), "<Rule>" + kDefault + "</Rule>",
           "<serversideencryptionconfiguration><Rule>" + kDefault + "</Rule></serversideencryptionconfiguration>",
           "<ServerSideEncryptionConfiguration><Rule>" + kDefault + "</Rules></ServerSideEncryptionConfiguration>",
           // SEED-47: another namespace
           "<ServerSideEncryptionConfiguration xmlns=\"http://example.org/\"><Rule>" + kDefault +
               "</Rule></ServerSideEncryptionConfiguration>",
           "<ServerSideEncryptionConfiguration xmlns=\"\"><Rule>" + kDefault +
               "</Rule></ServerSideEncryptionConfiguration>",
           "<s:ServerSideEncryptionConfiguration xmlns:s=\"" + kNamespace + "\"><Rule>" + kDefault +
               "</Rule></s:ServerSideEncryptionConfiguration>",
           // PBE-03, 04, SEED-49
           document(""), document("<Rule>" + kDefault + "</Rule><Rule>" + kDefault + "</Rule>"),
           // PBE-05, 06
           rule(""), rule("<BucketKeyEnabled>true</BucketKeyEnabled>"), apply(""),
           apply("<KMSMasterKeyID>k</KMSMasterKeyID>"), apply("<SSEAlgorithm/>"),
           // PBE-07, 18
           apply("<SSEAlgorithm>SSE-KMS</SSEAlgorithm>"), apply("<SSEAlgorithm>rot13</SSEAlgorithm>"),
           apply("<SSEAlgorithm>aes256</SSEAlgorithm>"), apply("<SSEAlgorithm>aws:fsx</SSEAlgorithm>"),
           // PBE-17
           rule(kDefault + "<BlockedEncryptionTypes><EncryptionType>SSE-S3</EncryptionType></BlockedEncryptionTypes>"),
           rule(kDefault + "<BlockedEncryptionTypes/>"),
           rule(kDefault + "<BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType><EncryptionType>SSE-C"
                           "</EncryptionType></BlockedEncryptionTypes>"),
           // PBE-19
           rule(kDefault + "<BucketKeyEnabled>yes</BucketKeyEnabled>"),
           rule(kDefault + "<BucketKeyEnabled>TRUE</BucketKeyEnabled>"), rule(kDefault + "<BucketKeyEnabled/>"),
           // PBE-55: unknown, or in another place
           rule(kDefault + "<Unknown/>"), apply(kAes + "<BucketKeyEnabled>true</BucketKeyEnabled>"),
           document("<Rule>" + kDefault + "</Rule><ID>x</ID>"), apply("<SSEAlgorithm>AES256<x/></SSEAlgorithm>"),
           apply(kAes + "text"), rule("text" + kDefault), apply("<SSEAlgorithm a=\"1\">AES256</SSEAlgorithm>"),
           "<ServerSideEncryptionConfiguration a=\"1\"><Rule>" + kDefault +
               "</Rule></ServerSideEncryptionConfiguration>",
           // PBE-56
           apply(kAes + kAes), apply(kKms + "<KMSMasterKeyID>k</KMSMasterKeyID><KMSMasterKeyID>k</KMSMasterKeyID>"),
           rule(kDefault + kDefault),
           rule(kDefault + "<BucketKeyEnabled>true</BucketKeyEnabled><BucketKeyEnabled>true</BucketKeyEnabled>"),
           // SEED-77: both names of the key
           apply(kKms + "<KMSMasterKeyID>k</KMSMasterKeyID><KMSKeyID>k</KMSKeyID>"),
           // PBE-57: blanks around a key's name, or no name
           apply(kKms + "<KMSMasterKeyID> k</KMSMasterKeyID>"), apply(kKms + "<KMSMasterKeyID>k\n</KMSMasterKeyID>"),
           apply(kKms + "<KMSMasterKeyID></KMSMasterKeyID>"), apply(kKms + "<KMSMasterKeyID>  </KMSMasterKeyID>"),
           apply(kKms + "<KMSMasterKeyID>" + std::string(2049, 'k') + "</KMSMasterKeyID>"),
           // PBE-54
           "<!DOCTYPE a>" + apply(kAes),
           "<!DOCTYPE a [<!ENTITY e \"AES256\">]>" + apply("<SSEAlgorithm>&e;</SSEAlgorithm>"),
           "<!DOCTYPE a SYSTEM \"file:///etc/passwd\">" + apply(kAes), "<?php x?>" + apply(kAes),
           apply("<?pi?>" + kAes), apply(kAes) + "<?pi?>", apply(kKms + "<KMSMasterKeyID>&e;</KMSMasterKeyID>"),
           apply(kKms + "<KMSMasterKeyID>a&b</KMSMasterKeyID>"), apply(kKms + "<KMSMasterKeyID>&#0;k</KMSMasterKeyID>"),
           apply(kKms + "<KMSMasterKeyID>&#xD800;</KMSMasterKeyID>"),
           apply(kKms + "<KMSMasterKeyID>&#x;</KMSMasterKeyID>"),
           apply("<xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" href=\"/etc/passwd\"/>" + kAes),
           apply(kKms + std::string("<KMSMasterKeyID>k\0k</KMSMasterKeyID>", 36)),
           apply(kKms + "<KMSMasterKeyID>\x01</KMSMasterKeyID>"),
           // SEED-46: other encodings
           "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>" + apply(kAes),
           "<?xml version=\"1.0\" encoding=\"UTF-16\"?>" + apply(kAes), "<?xml version=\"2.0\"?>" + apply(kAes),
           " <?xml version=\"1.0\"?>x", apply(kAes) + "<?xml version=\"1.0\"?>",
           apply(kKms + "<KMSMasterKeyID>\xff\xfe</KMSMasterKeyID>"),
           apply(kKms + "<KMSMasterKeyID>\xc0\x80</KMSMasterKeyID>"), std::string("\xff\xfe<\0a\0/\0>\0", 10)}) {
    EXPECT_EQ(code_of(parse_encryption_configuration(body)), "MalformedXML") << body.substr(0, 400);
  }
}

TEST(S3Xml, AKeyIsOnlyForTheKmsAlgorithms) {  // PBE-08, SEED-77
  for (const std::string name : {"KMSMasterKeyID", "KMSKeyID"})
    EXPECT_EQ(code_of(parse_encryption_configuration(apply(kAes + "<" + name + ">k</" + name + ">"))),
              "InvalidArgument");
}

TEST(S3Xml, EveryCutOfADocumentIsRefused) {  // PBE-02
  const auto whole = apply(kKms + "<KMSMasterKeyID>k</KMSMasterKeyID>");
  ASSERT_EQ(code_of(parse_encryption_configuration(whole)), "");
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(code_of(parse_encryption_configuration(whole.substr(0, size))), "MalformedXML") << size;
}

TEST(S3Xml, HostileDocumentsTakeBoundedTime) {  // PBE-54
  std::string bomb = "<!DOCTYPE b [<!ENTITY a0 \"x\">";
  for (int i = 1; i < 30; ++i)
    bomb += "<!ENTITY a" + std::to_string(i) + " \"&a" + std::to_string(i - 1) + ";&a" + std::to_string(i - 1) + ";\">";
  bomb += "]><b>&a29;</b>";
  std::string deep, wide, attributes = "<a", comments, references = "<a>", brackets(kBodySizeMax, '<');
  for (int i = 0; i < 10'000; ++i) deep += "<a>";
  for (int i = 0; i < 9'000; ++i) deep += "</a>";
  std::string closed;
  for (int i = 0; i < 9'000; ++i) closed += "<a>";
  for (int i = 0; i < 9'000; ++i) closed += "</a>";
  for (int i = 0; i < 5'000; ++i) wide += "<Rule/>";
  for (int i = 0; i < 5'000; ++i) attributes += " a" + std::to_string(i) + "='1'";
  while (comments.size() < kBodySizeMax - 10) comments += "<!--";
  while (references.size() < kBodySizeMax - 10) references += "&amp;";
  const auto begin = std::chrono::steady_clock::now();
  for (const auto& body :
       {bomb, deep, closed, document(wide), attributes + "/>", comments, references + "</a>", brackets, document(deep),
        std::string(kBodySizeMax, '&'), std::string(kBodySizeMax + 1, ' ')})
    EXPECT_EQ(code_of(parse_encryption_configuration(body)), "MalformedXML") << body.substr(0, 40);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST(S3Xml, DamagedDocumentsAreReadAsARuleOrNotAtAll) {
  const auto seed = std::random_device()();
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  const auto whole = "<?xml version=\"1.0\"?><!-- c -->" +
                     rule("<ApplyServerSideEncryptionByDefault>" + kKms +
                          "<KMSMasterKeyID>a&amp;b</KMSMasterKeyID></ApplyServerSideEncryptionByDefault>"
                          "<BucketKeyEnabled>true</BucketKeyEnabled>");
  for (int round = 0; round < 20'000; ++round) {
    auto body = whole;
    for (unsigned i = 0; i <= random() % 3; ++i) {
      const auto at = random() % body.size();
      switch (random() % 3) {
        case 0: body[at] = static_cast<char>(random()); break;
        case 1: body.erase(at, 1 + random() % 20); break;
        default: body.insert(at, body.substr(random() % body.size(), random() % 30)); break;
      }
      if (body.empty()) body = "x";
    }
    const auto result = parse_encryption_configuration(body);
    if (const auto* read = std::get_if<SseRule>(&result)) {
      const auto again = parse_encryption_configuration(encryption_configuration(*read));
      ASSERT_EQ(code_of(again), "") << body;
      ASSERT_EQ(std::get<SseRule>(again), *read) << body;
    }
  }
}

TEST(S3Xml, AnErrorDocumentRepeatsNoMoreThanALimit) {
  const std::string much(100'000, '"');
  const auto document =
      error_document({400, "InvalidArgument", much, {{"ArgumentValue", much}, {"Other", much}}}, "id", "host");
  EXPECT_LT(document.size(), 3 * 6 * kErrorTextMax + 1024);
  EXPECT_NE(document.find("<RequestId>id</RequestId>"), std::string::npos);
}

}  // namespace
}  // namespace coffer
