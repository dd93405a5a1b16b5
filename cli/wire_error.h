#pragma once

#include <string_view>

#include "base/result.h"

namespace coffer {

// A refusal as S3 writes it: XML with Code and Message. The Error's message is one line and says what to do next.
Error s3_refusal(int status, std::string_view body);

// A refusal as KMS writes it: JSON with __type and message.
Error json_refusal(int status, std::string_view body);

// A refusal that an answer only tells of, by the name S3 or KMS would give it.
Error named_refusal(std::string_view name, std::string_view message);

}  // namespace coffer
