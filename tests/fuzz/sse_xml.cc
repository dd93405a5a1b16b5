#include "admin/s3_xml.h"
#include "admin/xml_reader.h"
#include "base/server_limits.h"
#include "tests/fuzz/fuzz.h"

// S3's documents: what is taken says the same when it is written and read again, and nothing a stranger sends breaks
// the document that repeats it.
namespace coffer {
namespace {

// What no document may have that is taken: found without reading any XML.
void claim_plain(std::string_view body) {
  claim(body.size() <= kBodySizeMax, "a body over the limit is not taken");
  claim(body.find('\0') == std::string_view::npos, "a body with a NUL is not taken");
  claim(body.find('\xff') == std::string_view::npos && body.find('\xc0') == std::string_view::npos,
        "a body that is not UTF-8 is not taken");
  if (body.find("<!--") != std::string_view::npos || body.find("<![CDATA[") != std::string_view::npos) return;
  claim(body.find("<!") == std::string_view::npos, "a body with a DOCTYPE or an entity is not taken");
}

void read_encryption(std::string_view body) {
  const auto read = parse_encryption_configuration(body);
  const auto directory = parse_directory_encryption_configuration(body);
  const auto* rule = std::get_if<SseRule>(&read);
  const auto* directory_rule = std::get_if<SseRule>(&directory);
  if (rule == nullptr) {
    claim(directory_rule == nullptr, "a directory bucket takes no more than others");
    return;
  }
  claim_plain(body);
  claim(rule->algorithm != SseAlgorithm::kAes256 || !rule->kms_key, "AES256 has no key");
  const auto again = parse_encryption_configuration(encryption_configuration(*rule));
  claim(std::holds_alternative<SseRule>(again) && std::get<SseRule>(again) == *rule,
        "a rule reads as it was before it was written");
  const auto commented = parse_encryption_configuration(std::string(body) + "<!-- more -->");
  claim(std::holds_alternative<SseRule>(commented) && std::get<SseRule>(commented) == *rule,
        "a comment behind it changes nothing");
  if (directory_rule == nullptr) return;
  claim(directory_rule->bucket_key_enabled && directory_rule->blocked.empty() &&
            directory_rule->algorithm != SseAlgorithm::kAwsKmsDsse,
        "a directory bucket has Bucket Keys, one layer, and no blocked types");
  claim(directory_rule->algorithm == rule->algorithm && directory_rule->kms_key == rule->kms_key,
        "a directory bucket's rule says what the body says");
}

void read_create_bucket(std::string_view body) {
  const auto read = parse_create_bucket_configuration(body);
  const auto* asked = std::get_if<NewBucket>(&read);
  if (asked == nullptr) return;
  claim_plain(body);
  claim(!asked->region || !asked->zone, "a bucket is in a region or in a zone");
  if (!asked->zone) return;
  const auto again = parse_create_bucket_configuration(create_bucket_configuration(*asked->zone));
  claim(std::holds_alternative<NewBucket>(again) && std::get<NewBucket>(again).zone == asked->zone,
        "a zone reads as it was before it was written");
}

void repeat_in_an_error(std::string_view text) {
  const std::string said(text);
  const auto document = error_document({400, "InvalidArgument", said, {{"ArgumentValue", said}}}, "id", "host");
  XmlReader reader;
  claim(document.size() <= 2 * 6 * kErrorTextMax + 1024, "an error document does not grow with what was sent");
  claim(document.size() > kBodySizeMax || reader.parse(document), "an error document is XML whatever it repeats");
}

}  // namespace
}  // namespace coffer

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto body = coffer::fuzz_text(data, size);
  coffer::read_encryption(body);
  coffer::read_create_bucket(body);
  coffer::repeat_in_an_error(body);
  return 0;
}
