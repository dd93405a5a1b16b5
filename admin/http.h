#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coffer {

struct HttpHeader {
  std::string name, value;
};

// One request, whole, as it came over the wire: nothing decoded, duplicate headers kept, in their order.
struct HttpRequest {
  enum class Body { kWhole, kTooLarge };  // kTooLarge: beyond kBodySizeMax, `body` is empty

  std::string method;
  std::string target;  // of the request line: path and query, still percent-encoded
  std::vector<HttpHeader> headers = {};
  std::string body = {};
  Body body_state = Body::kWhole;
  std::optional<uid_t> peer_uid = std::nullopt;  // SO_PEERCRED, on Unix sockets

  std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
  std::string_view query() const {  // without the question mark
    const auto mark = target.find('?');
    return mark == std::string::npos ? std::string_view() : std::string_view(target).substr(mark + 1);
  }
  // The first header of that name, in any case of letters.
  std::optional<std::string_view> header(std::string_view name) const;
  std::size_t header_count(std::string_view name) const;
};

// The body is wiped once it is sent: it may hold a data key.
struct HttpResponse {
  int status = 200;
  std::vector<HttpHeader> headers = {};
  std::string body = {};
};

// Names and values of a query, percent-decoded, in order; nothing when the encoding is broken. A name without a value
// has an empty one.
using QueryParameters = std::vector<std::pair<std::string, std::string>>;
std::optional<QueryParameters> decode_query(std::string_view query);

bool equal_ignoring_case(std::string_view a, std::string_view b);  // ASCII
std::string lower_case(std::string_view text);                     // ASCII
std::string_view trim(std::string_view text);                      // blanks, tabs and line ends at both ends

}  // namespace coffer
