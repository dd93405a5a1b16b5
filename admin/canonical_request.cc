#include "admin/canonical_request.h"

#include <algorithm>

#include "base/encoding.h"

namespace coffer {
namespace {

// Without dot segments and empty ones, as all services but S3 sign it; a slash at the end stays.
std::string normalised(std::string_view path) {
  const bool ends_with_slash = path.ends_with('/');
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const auto segment = path.substr(0, path.find('/'));
    path.remove_prefix(segment.size());
    if (segment == "..") {
      if (!segments.empty()) segments.pop_back();
    } else if (!segment.empty() && segment != ".") {
      segments.push_back(segment);
    }
  }
  std::string out;
  for (const auto segment : segments) out.append("/").append(segment);
  return out.empty() || ends_with_slash ? out + "/" : out;
}

std::optional<std::string> canonical_path(std::string_view path, std::string_view service) {
  if (!path.starts_with('/')) return std::nullopt;
  if (!is_s3_service(service)) return percent_encode(normalised(path), Slash::kKeep);
  const auto decoded = percent_decode(path);
  if (!decoded) return std::nullopt;
  return percent_encode(*decoded, Slash::kKeep);
}

std::optional<std::string> canonical_query(std::string_view query) {
  auto parameters = decode_query(query);
  if (!parameters) return std::nullopt;
  std::erase_if(*parameters, [](const auto& parameter) { return parameter.first == "X-Amz-Signature"; });
  for (auto& [name, value] : *parameters) {
    name = percent_encode(name, Slash::kEncode);
    value = percent_encode(value, Slash::kEncode);
  }
  std::sort(parameters->begin(), parameters->end());
  std::string out;
  for (const auto& [name, value] : *parameters) out += (out.empty() ? "" : "&") + name + "=" + value;
  return out;
}

void append_folded(std::string& out, std::string_view value) {
  bool blank = false;
  for (const char c : trim(value)) {
    const bool is_blank = c == ' ' || c == '\t';
    if (!is_blank) out += c;
    if (is_blank && !blank) out += ' ';
    blank = is_blank;
  }
}

std::string canonical_header(const HttpRequest& request, std::string_view name) {
  std::string line = std::string(name) + ":";
  bool first = true;
  for (const auto& header : request.headers) {
    if (!equal_ignoring_case(header.name, name)) continue;
    if (!first) line += ',';
    append_folded(line, header.value);
    first = false;
  }
  return line + "\n";
}

}  // namespace

bool is_s3_service(std::string_view service) { return service == "s3" || service == "s3express"; }

std::optional<std::string> canonical_request(const HttpRequest& request, std::string_view service,
                                             std::vector<std::string> signed_headers, std::string_view payload_hash) {
  const auto path = canonical_path(request.path(), service);
  const auto query = canonical_query(request.query());
  if (!path || !query) return std::nullopt;
  std::sort(signed_headers.begin(), signed_headers.end());
  std::string out = request.method + "\n" + *path + "\n" + *query + "\n", names;
  for (const auto& name : signed_headers) {
    out += canonical_header(request, name);
    names += (names.empty() ? "" : ";") + name;
  }
  return out + "\n" + names + "\n" + std::string(payload_hash);
}

}  // namespace coffer
