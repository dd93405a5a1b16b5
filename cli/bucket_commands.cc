#include <pugixml.hpp>

#include "admin/s3_xml.h"
#include "base/encoding.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/json.h"

namespace coffer {
namespace {

// Signed for s3express it is a list of directory buckets.
Status add_buckets(ApiClient& client, std::string_view service, const char* list, Json& buckets) {
  std::string token;
  do {
    const std::string query = token.empty() ? "" : "?continuation-token=" + percent_encode(token, Slash::kEncode);
    COFFER_ASSIGN(const std::string answer, client.s3("GET", "/" + query, "", service));
    pugi::xml_document document;
    if (!document.load_buffer(answer.data(), answer.size())) return Error{Code::kIo, "the daemon's answer is no XML"};
    const auto root = document.child(list);
    for (const auto bucket : root.child("Buckets").children("Bucket")) {
      buckets.push_back({{"Name", bucket.child_value("Name")}, {"CreationDate", bucket.child_value("CreationDate")}});
    }
    token = root.child_value("ContinuationToken");
  } while (!token.empty());
  return {};
}

Result<int> list_buckets(ApiClient& client, const BucketOptions& options, Console& console) {
  Json buckets = Json::array();
  COFFER_TRY(add_buckets(client, "s3", "ListAllMyBucketsResult", buckets));
  COFFER_TRY(add_buckets(client, "s3express", "ListAllMyDirectoryBucketsResult", buckets));
  if (options.json) {
    print_json(console.out, {{"Buckets", buckets}});
  } else {
    for (const auto& bucket : buckets) console.out << text_at(bucket, "Name") << '\n';
  }
  return kExitDone;
}

}  // namespace

Result<int> run_command(const BucketOptions& options, Console& console) {
  COFFER_ASSIGN(ApiClient client, connect(options.endpoint));
  const std::string target = "/" + percent_encode(options.bucket, Slash::kEncode);
  switch (options.verb) {
    case BucketOptions::Verb::kList: return list_buckets(client, options, console);
    case BucketOptions::Verb::kCreate: {
      const auto name = BucketName::parse(options.bucket);
      const bool directory = name.ok() && name->is_directory_bucket();
      COFFER_TRY(client.s3("PUT", target, directory ? create_bucket_configuration(name->zone()) : ""));
      return kExitDone;
    }
    case BucketOptions::Verb::kDelete: {
      COFFER_TRY(client.s3("DELETE", target));
      return kExitDone;
    }
  }
  return kExitUsage;
}

}  // namespace coffer
