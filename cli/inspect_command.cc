#include "base/encoding.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/offline_store.h"

namespace coffer {
namespace {

// The shape the daemon answers Coffer.Inspect in.
Json inspection(const ObjectName& name, const Envelope& envelope, std::uint64_t size, bool reseal_pending) {
  Json layers = Json::array();
  for (const auto& layer : envelope.layers) {
    layers.push_back({{"cipher", "AES-256-GCM"}, {"key_source", key_source_name(layer.source)}});
  }
  return {{"bucket", name.bucket.str()},
          {"key", name.key},
          {"sse", sse_name(envelope.algorithm)},
          {"kms_key_arn", envelope.kms_key_arn.empty() ? Json() : Json(envelope.kms_key_arn)},
          {"bucket_key", envelope.bucket_key()},
          {"chunk_size", envelope.chunk_size},
          {"size", size},
          {"layers", layers},
          {"context", {{"aws:s3:arn", envelope.context_arn}}},
          {"reseal_pending", reseal_pending}};
}

Result<Json> inspect_offline(const InspectOptions& options) {
  COFFER_ASSIGN(const ObjectName name, parse_object_name(*options.object));
  const SystemClock clock;
  COFFER_ASSIGN(const auto opened, open_offline(options.place, options.unlock, clock));
  COFFER_ASSIGN(const InodeNumber ino, find_object(*opened, name));
  const std::lock_guard lock(opened->catalog->mutex());
  COFFER_ASSIGN(const Inode inode, opened->catalog->inode(ino));
  if (inode.kind != FileKind::kFile)
    return Error{Code::kIsDirectory, *options.object + " is no object: name a regular file"};
  COFFER_ASSIGN(const Bytes encoded, opened->catalog->envelope(ino));
  COFFER_ASSIGN(const Envelope envelope, Envelope::decode(encoded));
  COFFER_ASSIGN(const bool pending, opened->catalog->reseal_pending(ino));
  return inspection(name, envelope, inode.size, pending);
}

Result<Json> inspect_mounted(const InspectOptions& options) {
  COFFER_ASSIGN(const auto table, read_mountinfo());
  COFFER_ASSIGN(const MountedPath path, coffer_mount_of(table, clean_path(options.place)));
  COFFER_ASSIGN(const ObjectName name, parse_object_name(path.rest));
  COFFER_ASSIGN(ApiClient client, connect(path.mount, options.endpoint));
  return client.coffer("Inspect", {{"bucket", name.bucket.str()}, {"key", percent_encode(name.key, Slash::kKeep)}});
}

void print_inspection(const Json& object, Console& console) {
  console.out << "object   " << text_at(object, "bucket") << '/' << text_at(object, "key") << '\n'
              << "sse      " << text_at(object, "sse") << '\n';
  if (const auto arn = text_at(object, "kms_key_arn"); !arn.empty()) console.out << "key      " << arn << '\n';
  console.out << "size     " << number_at(object, "size") << " in chunks of " << number_at(object, "chunk_size")
              << '\n';
  for (const auto& layer : member_at(object, "layers")) {
    console.out << "layer    " << text_at(layer, "cipher") << ", data key from " << text_at(layer, "key_source")
                << '\n';
  }
  for (const auto& [name, value] : member_at(object, "context").items()) {
    console.out << "context  " << name << " = " << (value.is_string() ? value.get<std::string>() : compact_json(value))
                << '\n';
  }
  if (truth_at(object, "reseal_pending")) console.out << "reseal   waits to come under the bucket's current default\n";
}

}  // namespace

Result<int> run_command(const InspectOptions& options, Console& console) {
  COFFER_ASSIGN(const Json object, options.object ? inspect_offline(options) : inspect_mounted(options));
  if (options.json) {
    print_json(console.out, object);
  } else {
    print_inspection(object, console);
  }
  return kExitDone;
}

}  // namespace coffer
