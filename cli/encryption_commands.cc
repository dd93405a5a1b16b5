#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

#include "admin/s3_xml.h"
#include "base/encoding.h"
#include "base/exit_code.h"
#include "base/limits.h"
#include "cli/commands.h"
#include "cli/json.h"

namespace coffer {
namespace {

Result<std::string> read_configuration(const std::string& file) {
  std::ifstream opened;
  if (file != "-") {
    opened.open(file, std::ios::binary);
    if (!opened) return Error{Code::kInvalidArgument, "cannot read " + file + ": " + std::strerror(errno)};
  }
  std::istream& from = file == "-" ? std::cin : opened;
  std::string text(kBodySizeMax + 1, '\0');
  from.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (from.bad()) return Error{Code::kInvalidArgument, "cannot read " + file + ": is it a file?"};
  text.resize(static_cast<std::size_t>(from.gcount()));
  if (text.size() > kBodySizeMax)
    return Error{Code::kInvalidArgument, file + " is larger than any configuration: 64 KiB"};
  return text;
}

Result<std::string> wanted_configuration(const EncryptionOptions& options) {
  if (options.file) return read_configuration(*options.file);
  SseRule rule;
  rule.algorithm = parse_sse(*options.sse).value_or(SseAlgorithm::kAes256);
  rule.kms_key = options.key;
  const auto bucket = BucketName::parse(options.bucket);
  const bool always_on = bucket.ok() && bucket->is_directory_bucket();
  rule.bucket_key_enabled = options.bucket_key || always_on;
  return encryption_configuration(rule);
}

std::string_view blocked_name(BlockedEncryption blocked) {
  switch (blocked) {
    case BlockedEncryption::kSseC: return "SSE-C";
    case BlockedEncryption::kNone: return "NONE";
  }
  return "NONE";
}

// In the shape `aws s3api get-bucket-encryption` prints.
Json configuration_json(const SseRule& rule) {
  Json by_default = {{"SSEAlgorithm", sse_name(rule.algorithm)}};
  if (rule.kms_key) by_default["KMSMasterKeyID"] = *rule.kms_key;
  Json json_rule = {{"ApplyServerSideEncryptionByDefault", by_default}, {"BucketKeyEnabled", rule.bucket_key_enabled}};
  if (!rule.blocked.empty()) {
    Json types = Json::array();
    for (const auto blocked : rule.blocked) types.push_back(blocked_name(blocked));
    json_rule["BlockedEncryptionTypes"] = {{"EncryptionType", types}};
  }
  return {{"ServerSideEncryptionConfiguration", {{"Rules", Json::array({json_rule})}}}};
}

Result<int> print_configuration(const std::string& xml, bool json, Console& console) {
  if (!json) {
    console.out << xml << (xml.ends_with('\n') ? "" : "\n");
    return kExitDone;
  }
  const auto rule = parse_encryption_configuration(xml);
  if (std::holds_alternative<S3Error>(rule))
    return Error{Code::kIo, "the daemon's answer is no encryption configuration"};
  print_json(console.out, configuration_json(std::get<SseRule>(rule)));
  return kExitDone;
}

}  // namespace

Result<int> run_command(const EncryptionOptions& options, Console& console) {
  const std::string target = "/" + percent_encode(options.bucket, Slash::kEncode) + "?encryption=";
  switch (options.verb) {
    case EncryptionOptions::Verb::kPut: {
      COFFER_ASSIGN(const std::string xml, wanted_configuration(options));
      COFFER_ASSIGN(ApiClient client, connect(options.endpoint));
      COFFER_TRY(client.s3("PUT", target, xml));
      return kExitDone;
    }
    case EncryptionOptions::Verb::kGet: {
      COFFER_ASSIGN(ApiClient client, connect(options.endpoint));
      COFFER_ASSIGN(const std::string xml, client.s3("GET", target));
      return print_configuration(xml, options.json, console);
    }
    case EncryptionOptions::Verb::kDelete: {
      COFFER_ASSIGN(ApiClient client, connect(options.endpoint));
      COFFER_TRY(client.s3("DELETE", target));
      return kExitDone;
    }
  }
  return kExitUsage;
}

}  // namespace coffer
