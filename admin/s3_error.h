#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/names.h"
#include "base/result.h"

namespace coffer {

// A refusal in S3's words (S3 API reference, "Error responses"); extras follow the message in their order.
struct S3Error {
  int status = 400;
  std::string code, message;
  std::vector<std::pair<std::string, std::string>> extras;
};

// Either a T or the refusal.
template <class T>
using S3Result = std::variant<T, S3Error>;

// Names and messages that more than one place needs.
S3Error malformed_xml();
S3Error access_denied();
S3Error no_such_bucket(std::string_view bucket);
S3Error invalid_bucket_name(std::string_view bucket);
S3Error invalid_request(std::string message);
S3Error invalid_argument(std::string message, std::string argument, std::string value);
S3Error not_implemented(std::string message);
S3Error method_not_allowed(std::string_view method, std::string_view resource_type);
S3Error message_too_long();
S3Error internal_error();

// The one translation of Code to S3. bucket: what the request named, for the extras.
S3Error to_s3(const Error& error, std::string_view bucket);

}  // namespace coffer
