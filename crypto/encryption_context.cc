#include "crypto/encryption_context.h"

#include "base/limits.h"
#include "base/wire.h"

namespace coffer {

Bytes encode_context(const EncryptionContext& context) {
  WireWriter writer;
  writer.u16(static_cast<std::uint16_t>(context.size()));
  for (const auto& [name, value] : context) writer.text16(name).text16(value);
  return std::move(writer).take();
}

Status check_context(const EncryptionContext& context) {
  std::size_t size = 0;
  for (const auto& [name, value] : context) {
    if (name.empty()) return Error{Code::kInvalidArgument, "a name in the encryption context is empty"};
    size += name.size() + value.size();
  }
  if (size > kContextSizeMax) return Error{Code::kInvalidArgument, "the encryption context is larger than 8192 bytes"};
  return {};
}

}  // namespace coffer
