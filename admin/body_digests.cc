#include "admin/body_digests.h"

#include "admin/digest.h"
#include "base/encoding.h"

namespace coffer {
namespace {

constexpr std::string_view kChecksumPrefix = "x-amz-checksum-";

struct GivenChecksum {
  ChecksumAlgorithm algorithm;
  Bytes value;
};

S3Error unsupported_algorithm() {
  return invalid_request(
      "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, "
      "CRC64NVME, SHA1, SHA256]");
}

S3Result<std::optional<Bytes>> parse_md5(const HttpRequest& request) {
  const auto header = request.header("content-md5");
  if (!header) return std::optional<Bytes>();
  const auto digest = unbase64(*header);
  if (digest && digest->size() == 16) return digest;
  return S3Error{
      400, "InvalidDigest", "The Content-MD5 you specified was invalid.", {{"Content-MD5", std::string(*header)}}};
}

// x-amz-checksum-crc32 and its kin; not x-amz-checksum-mode and -type, which say nothing about this body.
bool is_checksum(std::string_view name) {
  return name.starts_with(kChecksumPrefix) && name != "x-amz-checksum-mode" && name != "x-amz-checksum-type" &&
         name != "x-amz-checksum-algorithm";
}

S3Result<std::optional<GivenChecksum>> parse_checksum_header(const HttpRequest& request) {
  std::optional<GivenChecksum> found;
  for (const auto& header : request.headers) {
    const auto name = lower_case(header.name);
    if (!is_checksum(name)) continue;
    if (found)
      return invalid_request("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
    const auto algorithm = parse_checksum(std::string_view(name).substr(kChecksumPrefix.size()));
    if (!algorithm) return unsupported_algorithm();
    auto value = unbase64(header.value);
    if (!value || value->size() != checksum_size(*algorithm))
      return invalid_request("Value for " + name + " header is invalid.");
    found = GivenChecksum{*algorithm, *std::move(value)};
  }
  return found;
}

// Bodies in signed chunks, with checksums behind them, are for objects (PBE-58).
std::optional<S3Error> check_not_chunked(const HttpRequest& request) {
  const auto encoding = request.header("content-encoding").value_or("");
  const bool chunked = lower_case(encoding).find("aws-chunked") != std::string::npos;
  const bool streaming = request.header("x-amz-content-sha256").value_or("").starts_with("STREAMING-");
  if (chunked || streaming || request.header("x-amz-trailer"))
    return invalid_request("The value of x-amz-content-sha256 header is invalid.");
  return std::nullopt;
}

std::optional<S3Error> check_named_algorithm(const HttpRequest& request, bool has_checksum) {
  const auto name = request.header("x-amz-sdk-checksum-algorithm");
  if (!name || has_checksum) return std::nullopt;  // with a checksum the name says nothing new (SEED-68)
  if (!parse_checksum(*name)) return unsupported_algorithm();
  return invalid_request(
      "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were "
      "found.");
}

std::optional<S3Error> check_md5_value(const Bytes& given, std::string_view body) {
  const auto computed = md5(as_bytes(body));
  if (computed == given) return std::nullopt;
  return S3Error{400,
                 "BadDigest",
                 "The Content-MD5 you specified did not match what we received.",
                 {{"ExpectedDigest", base64(given)}, {"CalculatedDigest", base64(computed)}}};
}

std::optional<S3Error> check_checksum_value(const GivenChecksum& given, std::string_view body) {
  if (checksum(given.algorithm, as_bytes(body)) == given.value) return std::nullopt;
  return S3Error{
      400,
      "BadDigest",
      "The " + std::string(checksum_name(given.algorithm)) + " you specified did not match the calculated checksum.",
      {}};
}

}  // namespace

std::optional<S3Error> check_body_digests(const HttpRequest& request, EmptyBody empty) {
  if (auto error = check_not_chunked(request)) return error;
  const auto md5_given = parse_md5(request);
  if (const auto* error = std::get_if<S3Error>(&md5_given)) return *error;
  if (empty == EmptyBody::kRefused && request.body.empty())
    return S3Error{400, "MissingRequestBodyError", "Request Body is empty", {}};
  const auto checksum_given = parse_checksum_header(request);
  if (const auto* error = std::get_if<S3Error>(&checksum_given)) return *error;

  const auto& expected_md5 = std::get<0>(md5_given);
  const auto& expected_checksum = std::get<0>(checksum_given);
  if (auto error = check_named_algorithm(request, expected_checksum.has_value())) return error;
  if (expected_md5)
    if (auto error = check_md5_value(*expected_md5, request.body)) return error;
  if (expected_checksum) return check_checksum_value(*expected_checksum, request.body);
  return std::nullopt;
}

}  // namespace coffer
