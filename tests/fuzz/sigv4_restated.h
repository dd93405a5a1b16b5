#pragma once

#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <map>
#include <vector>

#include "tests/fuzz/fuzz.h"

// Signature Version 4 once more, from its documents (IAM User Guide, "Create a signed AWS API request"), and from
// nothing of admin/ but HttpRequest's members.
namespace coffer::restated {

inline std::string bytes_in_hex(const unsigned char* bytes, std::size_t size) {
  static const char* const kDigits = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < size; ++i) {
    out += kDigits[bytes[i] / 16];
    out += kDigits[bytes[i] % 16];
  }
  return out;
}

inline std::string hash(const std::string& text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return bytes_in_hex(digest, sizeof digest);
}

inline std::string mac(const std::string& key, const std::string& text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), digest, &size);
  return {reinterpret_cast<const char*>(digest), size};
}

inline int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// False: an escape is broken.
inline bool unescape(const std::string& text, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) return false;
    out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
    i += 2;
  }
  return true;
}

inline std::string escape(const std::string& text, bool slashes) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~' || (c == '/' && !slashes);
    if (plain) {
      out += c;
    } else {
      char escaped[4];
      std::snprintf(escaped, sizeof escaped, "%%%02X", static_cast<unsigned char>(c));
      out += escaped;
    }
  }
  return out;
}

inline std::vector<std::string> parts(const std::string& text, char mark) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == mark)
      out.emplace_back();
    else
      out.back() += c;
  }
  return out;
}

inline std::string small(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return text;
}

// The parameters, decoded. False: an escape is broken.
inline bool parameters(const HttpRequest& request, std::vector<std::pair<std::string, std::string>>& out) {
  const auto mark = request.target.find('?');
  if (mark == std::string::npos) return true;
  for (const auto& part : parts(request.target.substr(mark + 1), '&')) {
    if (part.empty()) continue;
    const auto equals = part.find('=');
    std::string name, value;
    if (!unescape(part.substr(0, equals), name)) return false;
    if (equals != std::string::npos && !unescape(part.substr(equals + 1), value)) return false;
    out.emplace_back(name, value);
  }
  return true;
}

// The words of a header's value, one blank between them.
inline std::string folded(const std::string& value) {
  std::string out;
  bool pending = false;
  std::size_t begin = value.find_first_not_of(" \t\r\n"), end = value.find_last_not_of(" \t\r\n");
  if (begin == std::string::npos) return out;
  for (std::size_t i = begin; i <= end; ++i) {
    const bool blank = value[i] == ' ' || value[i] == '\t';
    if (blank) {
      pending = true;
      continue;
    }
    if (pending) out += ' ';
    pending = false;
    out += value[i];
  }
  return out;
}

// What S3 signs of a request. False: the target cannot be decoded.
inline bool canonical(const HttpRequest& request, const std::string& signed_headers, const std::string& payload,
                      std::string& out) {
  std::string path;
  if (request.target.empty() || request.target[0] != '/') return false;
  if (!unescape(request.target.substr(0, request.target.find('?')), path)) return false;
  std::vector<std::pair<std::string, std::string>> query;
  if (!parameters(request, query)) return false;
  std::multimap<std::string, std::string> sorted;  // by name, then by value, both encoded
  std::vector<std::string> encoded;
  for (const auto& [name, value] : query)
    if (name != "X-Amz-Signature") sorted.emplace(escape(name, true) + "\x01" + escape(value, true), "");
  std::string line;
  for (const auto& [pair, nothing] : sorted) {
    const auto cut = pair.find('\x01');
    line += (line.empty() ? "" : "&") + pair.substr(0, cut) + "=" + pair.substr(cut + 1);
  }
  std::map<std::string, bool> names;
  for (const auto& name : parts(signed_headers, ';')) names[name] = true;
  out = request.method + "\n" + escape(path, false) + "\n" + line + "\n";
  std::string listed;
  for (const auto& [name, nothing] : names) {
    std::string values;
    bool first = true;
    for (const auto& header : request.headers) {
      if (small(header.name) != small(name)) continue;
      values += (first ? "" : ",") + folded(header.value);
      first = false;
    }
    out += name + ":" + values + "\n";
    listed += (listed.empty() ? "" : ";") + name;
  }
  out += "\n" + listed + "\n" + payload;
  return true;
}

// scope: DATE/REGION/SERVICE
inline std::string signature(const std::string& secret, const std::string& time, const std::string& scope,
                             const std::string& canonical_text) {
  const auto to_sign = "AWS4-HMAC-SHA256\n" + time + "\n" + scope + "/aws4_request\n" + hash(canonical_text);
  std::string key = "AWS4" + secret;
  for (const auto& part : parts(scope + "/aws4_request", '/')) key = mac(key, part);
  const auto out = mac(key, to_sign);
  return bytes_in_hex(reinterpret_cast<const unsigned char*>(out.data()), out.size());
}

}  // namespace coffer::restated
