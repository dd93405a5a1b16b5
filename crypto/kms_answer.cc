#include "crypto/kms_answer.h"

#include <openssl/evp.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/external_kms_limits.h"
#include "crypto/locked_memory.h"

namespace coffer {
namespace {

// A cursor over JSON text. Each taker answers whether what it takes was there.
class Scanner {
 public:
  explicit Scanner(MutableBytes json) : text_(reinterpret_cast<char*>(json.data())), size_(json.size()) {}

  bool take(char wanted) {
    skip_blanks();
    if (at_ == size_ || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  bool next_is(char wanted) {
    skip_blanks();
    return at_ < size_ && text_[at_] == wanted;
  }
  bool done() {
    skip_blanks();
    return at_ == size_;
  }

  // A text and, where it has no escape but \/, what it says.
  bool take_text(std::optional<std::string_view>& into) {
    if (!take('"')) return false;
    const std::size_t begin = at_;
    std::size_t end = begin;
    bool plain = true;
    for (; at_ < size_ && text_[at_] != '"'; ++at_) {
      if (static_cast<unsigned char>(text_[at_]) < 0x20) return false;
      if (text_[at_] == '\\') {
        if (++at_ == size_) return false;
        plain = plain && text_[at_] == '/';
      }
      text_[end++] = text_[at_];
    }
    if (at_ == size_) return false;
    ++at_;
    into = plain ? std::optional(std::string_view(text_ + begin, end - begin)) : std::nullopt;
    return true;
  }

  // Anything but a text, by its brackets and texts alone: what is in it does not matter.
  bool skip_value() {
    skip_blanks();
    int depth = 0;
    const std::size_t begin = at_;
    while (at_ < size_) {
      const char c = text_[at_];
      std::optional<std::string_view> ignored;
      if (c == '"') {
        if (!take_text(ignored)) return false;
        continue;
      }
      if (c == '{' || c == '[') {
        if (++depth > kExternalJsonDepthMax) return false;
      } else if (c == '}' || c == ']') {
        if (depth == 0) break;
        --depth;
      } else if (c == ',' && depth == 0) {
        break;
      }
      ++at_;
    }
    return depth == 0 && at_ > begin;
  }

 private:
  void skip_blanks() {
    while (at_ < size_ && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) ++at_;
  }

  char* text_;
  std::size_t size_, at_ = 0;
};

std::string printable(std::string_view text) {
  std::string out(text.substr(0, kExternalMessageMax));
  for (char& c : out) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return out;
}

}  // namespace

LockedPages::LockedPages(std::size_t size) : size_(size) {
  void* mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) std::abort();
  (void)mlock(mapped, size);
  (void)madvise(mapped, size, MADV_DONTDUMP);
  (void)madvise(mapped, size, MADV_WIPEONFORK);
  bytes_ = static_cast<std::uint8_t*>(mapped);
}

LockedPages::~LockedPages() {
  wipe(span());
  munmap(bytes_, size_);
}

std::optional<KmsAnswer> KmsAnswer::parse(MutableBytes json) {
  KmsAnswer answer;
  Scanner scanner(json);
  if (!scanner.take('{')) return std::nullopt;
  bool first = true;
  while (!scanner.next_is('}')) {
    if (!first && !scanner.take(',')) return std::nullopt;
    first = false;
    std::optional<std::string_view> name, value;
    if (!scanner.take_text(name) || !name || !scanner.take(':')) return std::nullopt;
    const bool understood = scanner.next_is('"') ? scanner.take_text(value) : scanner.skip_value();
    if (!understood) return std::nullopt;
    if (!answer.members_.emplace(*name, value.value_or("")).second) return std::nullopt;
  }
  if (!scanner.take('}') || !scanner.done()) return std::nullopt;
  return answer;
}

std::string_view KmsAnswer::text(std::string_view name) const {
  const auto found = members_.find(name);
  return found == members_.end() ? std::string_view() : found->second;
}

std::optional<Key> KmsAnswer::key(std::string_view name) const {
  const std::string_view encoded = text(name);
  if (encoded.size() != kKeyBase64Size || encoded.back() != '=' || encoded[kKeyBase64Size - 2] == '=')
    return std::nullopt;
  // Openssl writes whole groups of three: one byte more than there is.
  Locked<std::array<std::uint8_t, 64>> decoded;
  const int size = EVP_DecodeBlock(decoded.get()->data(), as_bytes(encoded).data(), static_cast<int>(encoded.size()));
  if (size != static_cast<int>(Key::kSize) + 1) return std::nullopt;
  return Key::copy_of(BytesView(*decoded.get()).first(Key::kSize));
}

std::optional<Bytes> KmsAnswer::bytes(std::string_view name) const {
  auto decoded = unbase64(text(name));
  if (!decoded || decoded->empty()) return std::nullopt;
  return decoded;
}

std::optional<KmsRefusal> parse_kms_refusal(BytesView json) {
  const auto parsed = nlohmann::json::parse(as_text(json), /*callback=*/nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return std::nullopt;
  const auto member = [&](const char* name) {
    const auto found = parsed.find(name);
    return found != parsed.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  std::string type = member("__type");
  type = type.substr(0, type.find(':'));
  if (const auto mark = type.rfind('#'); mark != std::string::npos) type = type.substr(mark + 1);
  std::string message = member("message");
  if (message.empty()) message = member("Message");
  if (type.empty()) return std::nullopt;
  return KmsRefusal{printable(type), printable(message)};
}

}  // namespace coffer
