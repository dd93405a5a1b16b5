#include "admin/canonical_request.h"

#include <gtest/gtest.h>

#include "admin/sigv4.h"
#include "admin/timestamps.h"

namespace coffer {
namespace {

TEST(CanonicalRequest, FollowsTheRules) {
  const auto canonical = [](std::string target, std::vector<HttpHeader> headers, std::vector<std::string> names,
                            std::string_view service = "s3") {
    return canonical_request({"GET", std::move(target), std::move(headers), ""}, service, std::move(names), "H");
  };
  // AUTH-19: a parameter without = is canonical with one
  EXPECT_EQ(canonical("/b?encryption", {}, {}), "GET\n/b\nencryption=\n\n\nH");
  EXPECT_EQ(canonical("/b?encryption=", {}, {}), "GET\n/b\nencryption=\n\n\nH");
  // sorted by encoded name, then value
  EXPECT_EQ(canonical("/?b=2&a=2&B=1&a=10&a%2D=", {}, {}), "GET\n/\nB=1&a=10&a=2&a-=&b=2\n\n\nH");
  // S3's paths are encoded once, others twice
  EXPECT_EQ(canonical("/a%20b/$c", {}, {}), "GET\n/a%20b/%24c\n\n\n\nH");
  EXPECT_EQ(canonical("/a%20b", {}, {}, "kms"), "GET\n/a%2520b\n\n\n\nH");
  // blanks are trimmed and folded, duplicates joined in their order
  EXPECT_EQ(canonical("/", {{"X-B", " 2  \t 3 "}, {"x-a", "one"}, {"X-A", " two"}}, {"x-b", "x-a"}),
            "GET\n/\n\nx-a:one,two\nx-b:2 3\n\nx-a;x-b\nH");
  EXPECT_EQ(canonical("/%zz", {}, {}), std::nullopt);
  EXPECT_EQ(canonical("/?a=%1", {}, {}), std::nullopt);
}

// The cases of the test suite that AWS published for Signature Version 4, with their signatures: another's arithmetic.
// Left out is the one with a header folded over several lines, which RFC 9112 ended.
class SuiteCredentials final : public Credentials {
 public:
  std::shared_ptr<const AccessKey> find(std::string_view id) const override {
    return id == key.id ? std::shared_ptr<const AccessKey>(std::shared_ptr<void>(), &key) : nullptr;
  }
  const AccessKey key{"AKIDEXAMPLE", SecretBytes(as_bytes("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")),
                      Principal::root_of(*AccountId::parse("000000000000"))};
};

struct SuiteCase {
  std::string name, method, target;
  std::vector<HttpHeader> headers;  // besides Host and X-Amz-Date
  std::string body, signature;
};

const std::string kUnreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
// What `GET /` and `POST /` with no more than Host and X-Amz-Date come to: several paths are written so.
const std::string kGetRoot = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
const std::string kPostRoot = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
const std::string kPostParameter = "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11";

std::vector<SuiteCase> suite() {
  const auto header = [](std::string value) { return HttpHeader{"My-Header1", std::move(value)}; };
  return {
      {"a header three times",
       "GET",
       "/",
       {header("value2"), header("value2"), header("value1")},
       "",
       "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
      {"values in their order",
       "GET",
       "/",
       {header("value4"), header("value1"), header("value3"), header("value2")},
       "",
       "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
      {"blanks around and within",
       "GET",
       "/",
       {header(" value1"), {"My-Header2", " \"a   b   c\""}},
       "",
       "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
      {"unreserved letters in the path",
       "GET",
       "/" + kUnreserved,
       {},
       "",
       "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
      {"UTF-8 in the path",
       "GET",
       "/\xe1\x88\xb4",
       {},
       "",
       "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
      {"one parameter",
       "GET",
       "/?Param1=value1",
       {},
       "",
       "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
      {"parameters by name",
       "GET",
       "/?Param2=value2&Param1=value1",
       {},
       "",
       "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
      {"one parameter twice, in two cases of letters",
       "GET",
       "/?Param1=value2&Param1=Value1",
       {},
       "",
       "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"},
      {"one parameter twice, by value",
       "GET",
       "/?Param1=value2&Param1=value1",
       {},
       "",
       "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
      {"unreserved letters in the query",
       "GET",
       "/?" + kUnreserved + "=" + kUnreserved,
       {},
       "",
       "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
      {"UTF-8 in the query",
       "GET",
       "/?\xe1\x88\xb4=bar",
       {},
       "",
       "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
      {"the root", "GET", "/", {}, "", kGetRoot},
      {"two steps up", "GET", "/example1/example2/../..", {}, "", kGetRoot},
      {"one step up", "GET", "/example/..", {}, "", kGetRoot},
      {"a dot alone", "GET", "/./", {}, "", kGetRoot},
      {"two slashes", "GET", "//", {}, "", kGetRoot},
      {"a dot before a name",
       "GET",
       "/./example",
       {},
       "",
       "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
      {"slashes around a name",
       "GET",
       "//example//",
       {},
       "",
       "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
      {"a blank in the path",
       "GET",
       "/example space/",
       {},
       "",
       "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
      {"POST", "POST", "/", {}, "", kPostRoot},
      {"names sorted",
       "POST",
       "/",
       {header("value1")},
       "",
       "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
      {"values keep their case",
       "POST",
       "/",
       {header("VALUE1")},
       "",
       "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
      {"POST with a parameter", "POST", "/?Param1=value1", {}, "", kPostParameter},
      {"a form",
       "POST",
       "/",
       {{"Content-Type", "application/x-www-form-urlencoded"}},
       "Param1=value1",
       "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
      {"a form with its letters' encoding",
       "POST",
       "/",
       {{"Content-Type", "application/x-www-form-urlencoded; charset=utf8"}},
       "Param1=value1",
       "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
  };
}

TEST(CanonicalRequest, MakesTheSignaturesOfThePublishedTestSuite) {
  const SuiteCredentials credentials;
  const std::int64_t time = *parse_amz_date("20150830T123600Z") * 1'000'000'000;
  for (const auto& c : suite()) {
    HttpRequest request{c.method, c.target, c.headers, c.body};
    request.headers.push_back({"Host", "example.amazonaws.com"});
    request.headers.push_back({"X-Amz-Date", "20150830T123600Z"});
    std::string names;
    for (const auto& header : request.headers)
      if (const auto name = lower_case(header.name); names.find(name) == std::string::npos)
        names += (names.empty() ? "" : ";") + name;
    request.headers.push_back({"Authorization",
                               "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                               "SignedHeaders=" +
                                   names + ", Signature=" + c.signature});
    const auto verified = verify_signature(request, {"service", "us-east-1"}, credentials, time);
    const auto* failure = std::get_if<AuthFailure>(&verified);
    EXPECT_EQ(failure, nullptr) << c.name << ": " << (failure == nullptr ? "" : failure->answer.code);
  }
}

TEST(CanonicalRequest, CoversATokenAsThePublishedTestSuiteDoes) {
  HttpRequest request{"POST", "/", {{"Host", "example.amazonaws.com"}}, ""};
  request.headers.push_back(
      {"X-Amz-Security-Token",
       "AQoDYXdzEPT//////////"
       "wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwt"
       "hAx7mSEI/qkPpKPi/"
       "kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVX"
       "AkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/"
       "oLxBA=="});
  const auto added = sign(request, SuiteCredentials().key, "service", "us-east-1",
                          *parse_amz_date("20150830T123600Z") * 1'000'000'000);
  EXPECT_TRUE(
      added.back().value.ends_with("SignedHeaders=host;x-amz-date;x-amz-security-token, "
                                   "Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"))
      << added.back().value;
}

TEST(CanonicalRequest, TakesOddTargetsOfS3AsTheyAre) {
  const auto canonical = [](std::string target) {
    return canonical_request({"GET", std::move(target), {}, ""}, "s3", {}, "H");
  };
  EXPECT_EQ(canonical("//a//./../b/"), "GET\n//a//./../b/\n\n\n\nH");  // a key may be written so
  EXPECT_EQ(canonical("/%41%7E%2f"), "GET\n/A~/\n\n\n\nH");
  EXPECT_EQ(canonical("/%2525"), "GET\n/%2525\n\n\n\nH");
  EXPECT_EQ(canonical("/a+b"), "GET\n/a%2Bb\n\n\n\nH");
  EXPECT_EQ(canonical("/\xff%FF"), "GET\n/%FF%FF\n\n\n\nH");
  EXPECT_EQ(canonical("/?"), "GET\n/\n\n\n\nH");
  EXPECT_EQ(canonical("/?&&a&&"), "GET\n/\na=\n\n\nH");
  EXPECT_EQ(canonical("/?="), "GET\n/\n=\n\n\nH");
  EXPECT_EQ(canonical("/?a=b=c?d"), "GET\n/\na=b%3Dc%3Fd\n\n\nH");
  EXPECT_EQ(canonical("/?a=b%26c&X-Amz-Signature=1"), "GET\n/\na=b%26c\n\n\nH");
  for (const std::string target : {"", "*", "a", "http://h/", "/%", "/%4", "/%4g", "/?%", "/?a=%zz"})
    EXPECT_EQ(canonical(target), std::nullopt) << target;
}

}  // namespace
}  // namespace coffer
