#include <pugixml.hpp>

#include "base/encoding.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/json.h"

namespace coffer {
namespace {

Result<int> list_buckets(ApiClient& client, const BucketOptions& options, Console& console) {
  Json buckets = Json::array();
  std::string token;
  do {
    const std::string query = token.empty() ? "" : "?continuation-token=" + percent_encode(token, Slash::kEncode);
    COFFER_ASSIGN(const std::string answer, client.s3("GET", "/" + query));
    pugi::xml_document document;
    if (!document.load_buffer(answer.data(), answer.size())) return Error{Code::kIo, "the daemon's answer is no XML"};
    const auto root = document.child("ListAllMyBucketsResult");
    for (const auto bucket : root.child("Buckets").children("Bucket")) {
      buckets.push_back({{"Name", bucket.child_value("Name")}, {"CreationDate", bucket.child_value("CreationDate")}});
    }
    token = root.child_value("ContinuationToken");
  } while (!token.empty());

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
      COFFER_TRY(client.s3("PUT", target));
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
