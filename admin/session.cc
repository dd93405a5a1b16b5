#include "admin/session.h"

#include <sys/random.h>

#include <array>
#include <charconv>

#include "admin/digest.h"
#include "base/encoding.h"
#include "base/limits.h"

namespace coffer {
namespace {

constexpr std::size_t kParts = 8;
constexpr std::string_view kVersion = "1";
constexpr char kBetween = '\n';  // in no part

Sha256Digest mac_of(const AccessKey& parent, std::string_view purpose, std::string_view claims) {
  return hmac_sha256(parent.secret.view(), as_bytes(std::string(purpose) + kBetween + std::string(claims)));
}

// What the token says, nonce last.
std::string claims_of(const SessionTerms& session, std::string_view nonce) {
  std::string out(kVersion);
  const auto expires = std::to_string(session.expires);
  for (const std::string_view part :
       {std::string_view(session.parent_key_id), std::string_view(session.bucket),
        std::string_view(session.read_only ? "ReadOnly" : "ReadWrite"), std::string_view(expires),
        std::string_view(session.sse), std::string_view(session.kms_key), nonce})
    out.append(1, kBetween).append(part);
  return out;
}

std::optional<std::array<std::string_view, kParts>> split_claims(std::string_view claims) {
  std::array<std::string_view, kParts> parts;
  for (std::size_t i = 0; i < kParts; ++i) {
    const auto end = claims.find(kBetween);
    if ((end == std::string_view::npos) != (i + 1 == kParts)) return std::nullopt;
    parts[i] = claims.substr(0, end);
    claims.remove_prefix(end == std::string_view::npos ? claims.size() : end + 1);
  }
  return parts;
}

AccessKey key_of(const AccessKey& parent, std::string_view claims, std::string_view nonce) {
  auto mac = mac_of(parent, "coffer session secret", claims);
  auto text = base64(mac);
  AccessKey key{"COFS" + std::string(nonce), SecretBytes(as_bytes(text)), parent.principal};
  wipe(mac);
  wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  return key;
}

}  // namespace

NewSession make_session(SessionTerms terms, const AccessKey& parent) {
  std::array<std::uint8_t, 8> random{};
  if (getrandom(random.data(), random.size(), 0) < 0) random.fill(0);  // the claims then tell sessions apart
  const auto nonce = hex(random);
  terms.parent_key_id = parent.id;
  const auto claims = claims_of(terms, nonce);
  const auto token = claims + kBetween + hex(mac_of(parent, "coffer session token", claims));
  return {key_of(parent, claims, nonce), base64(as_bytes(token))};
}

std::optional<Session> open_session(std::string_view token, const Credentials& credentials, std::int64_t now) {
  if (token.size() > kSessionTokenMax) return std::nullopt;
  const auto decoded = unbase64(token);
  if (!decoded) return std::nullopt;
  const auto text = as_text(*decoded);
  const auto mark = text.rfind(kBetween);
  if (mark == std::string_view::npos) return std::nullopt;
  const auto claims = text.substr(0, mark);
  const auto parts = split_claims(claims);
  if (!parts || (*parts)[0] != kVersion) return std::nullopt;
  const auto parent = credentials.find((*parts)[1]);
  if (parent == nullptr) return std::nullopt;
  const auto expected = hex(mac_of(*parent, "coffer session token", claims));
  if (!equal_constant_time(as_bytes(expected), as_bytes(text.substr(mark + 1)))) return std::nullopt;

  SessionTerms terms;
  const auto& expires = (*parts)[4];
  if (std::from_chars(expires.data(), expires.data() + expires.size(), terms.expires).ec != std::errc() ||
      now > terms.expires)
    return std::nullopt;
  terms.parent_key_id = (*parts)[1];
  terms.bucket = (*parts)[2];
  terms.read_only = (*parts)[3] == "ReadOnly";
  terms.sse = (*parts)[5];
  terms.kms_key = (*parts)[6];
  return Session{std::move(terms), key_of(*parent, claims, (*parts)[7])};
}

}  // namespace coffer
