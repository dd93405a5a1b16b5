#include "admin/xml_reader.h"

#include <algorithm>
#include <charconv>

#include "admin/http.h"
#include "base/limits.h"

namespace coffer {
namespace {

constexpr std::string_view kNamespace = "http://s3.amazonaws.com/doc/2006-03-01/";

// A code point's first byte says how many follow; 0 for one that cannot begin any.
std::size_t utf8_size(std::uint8_t first) {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return 2;
  if (first >= 0xe0 && first < 0xf0) return 3;
  if (first >= 0xf0 && first < 0xf5) return 4;
  return 0;
}

bool is_xml_char(std::uint32_t c) {  // XML 1.0, production Char
  return c == 0x9 || c == 0xa || c == 0xd || (c >= 0x20 && c <= 0xd7ff) || (c >= 0xe000 && c <= 0xfffd) ||
         (c >= 0x10000 && c <= 0x10ffff);
}

// &NAME; or &#N; or &#xN; at the beginning of the text.
bool begins_with_reference(std::string_view text) {
  const auto end = text.substr(0, 16).find(';');
  if (end == std::string_view::npos) return false;
  auto name = text.substr(1, end - 1);
  if (!name.starts_with('#')) return name == "amp" || name == "lt" || name == "gt" || name == "quot" || name == "apos";
  name.remove_prefix(1);
  const int base = name.starts_with('x') ? 16 : 10;
  if (base == 16) name.remove_prefix(1);
  std::uint32_t c = 0;
  const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), c, base);
  return error == std::errc() && stop == name.data() + name.size() && !name.empty() && is_xml_char(c);
}

// Whether every & outside of comments and CDATA begins a reference that XML itself defines.
bool references_are_known(std::string_view text) {
  constexpr std::pair<std::string_view, std::string_view> kVerbatim[] = {{"<!--", "-->"}, {"<![CDATA[", "]]>"}};
  for (std::size_t at = 0; (at = text.find_first_of("&<", at)) != std::string_view::npos; ++at) {
    const auto rest = text.substr(at);
    if (rest[0] == '&' && !begins_with_reference(rest)) return false;
    for (const auto& [open, close] : kVerbatim) {
      if (!rest.starts_with(open)) continue;
      const auto end = rest.find(close, open.size());
      if (end == std::string_view::npos) return false;
      at += end + close.size() - 1;
      break;
    }
  }
  return true;
}

bool is_blank(const char* text) { return trim(text).empty(); }

bool is_utf8_declaration(pugi::xml_node node) {
  const auto encoding = node.attribute("encoding");
  const std::string_view version = node.attribute("version").value();
  return version == "1.0" && (!encoding || equal_ignoring_case(encoding.value(), "utf-8"));
}

// Only what a document of S3's schema can consist of, and no deeper than kXmlDepthMax.
struct Shape : pugi::xml_tree_walker {
  bool fits = true;
  std::size_t roots = 0;

  bool for_each(pugi::xml_node& node) override {
    fits = static_cast<std::size_t>(depth()) <= kXmlDepthMax && allowed(node);
    if (depth() == 0 && node.type() == pugi::node_element) ++roots;
    return fits;
  }

  bool allowed(pugi::xml_node node) const {
    switch (node.type()) {
      case pugi::node_element:
      case pugi::node_comment: return true;
      case pugi::node_pcdata: return depth() > 0 || is_blank(node.value());
      case pugi::node_cdata: return depth() > 0;
      case pugi::node_declaration: return depth() == 0 && !node.previous_sibling() && is_utf8_declaration(node);
      case pugi::node_null:
      case pugi::node_document:
      case pugi::node_pi:
      case pugi::node_doctype: return false;
    }
    return false;
  }
};

bool attributes_fit(pugi::xml_node node) {
  bool has_namespace = false;
  for (const auto& attribute : node.attributes()) {
    const std::string_view name = attribute.name();
    if (name.starts_with("xmlns:")) continue;  // a prefix nobody uses: prefixed names are unknown names
    if (name != "xmlns" || has_namespace || std::string_view(attribute.value()) != kNamespace) return false;
    has_namespace = true;
  }
  return true;
}

}  // namespace

bool is_xml_text(std::string_view text) {
  while (!text.empty()) {
    const auto first = static_cast<std::uint8_t>(text[0]);
    const auto size = utf8_size(first);
    if (size == 0 || size > text.size()) return false;
    std::uint32_t c = size == 1 ? first : first & (0x7fU >> size);
    for (std::size_t i = 1; i < size; ++i) {
      const auto next = static_cast<std::uint8_t>(text[i]);
      if ((next & 0xc0) != 0x80) return false;
      c = c << 6 | (next & 0x3f);
    }
    constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (c < kSmallest[size] || !is_xml_char(c)) return false;
    text.remove_prefix(size);
  }
  return true;
}

bool XmlReader::parse(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (text.size() > kBodySizeMax || !is_xml_text(text) || !references_are_known(text)) return false;
  const auto options = (pugi::parse_full | pugi::parse_fragment) & ~pugi::parse_ws_pcdata;
  if (!document_.load_buffer(text.data(), text.size(), options, pugi::encoding_utf8)) return false;
  Shape shape;
  document_.traverse(shape);
  return shape.fits && shape.roots == 1;
}

pugi::xml_node XmlReader::root(const char* name) const {
  const auto node = document_.document_element();
  if (std::string_view(node.name()) != name || !attributes_fit(node)) return {};
  return node;
}

std::optional<std::vector<pugi::xml_node>> xml_children(pugi::xml_node node,
                                                        std::initializer_list<std::string_view> known,
                                                        std::string_view repeatable) {
  if (!attributes_fit(node)) return std::nullopt;
  std::vector<pugi::xml_node> elements;
  for (const auto child : node.children()) {
    if (child.type() == pugi::node_comment || (child.type() == pugi::node_pcdata && is_blank(child.value()))) continue;
    const std::string_view name = child.name();
    if (child.type() != pugi::node_element || std::find(known.begin(), known.end(), name) == known.end())
      return std::nullopt;
    const auto same = [&](const auto& other) { return name == other.name(); };
    if (name != repeatable && std::any_of(elements.begin(), elements.end(), same)) return std::nullopt;
    elements.push_back(child);
  }
  return elements;
}

std::optional<std::string> xml_text(pugi::xml_node node) {
  if (!attributes_fit(node)) return std::nullopt;
  std::string text;
  for (const auto child : node.children()) {
    if (child.type() == pugi::node_comment) continue;
    if (child.type() != pugi::node_pcdata && child.type() != pugi::node_cdata) return std::nullopt;
    text += child.value();
  }
  return text;
}

}  // namespace coffer
