#pragma once

#include <optional>
#include <pugixml.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace coffer {

// UTF-8 of XML 1.0's characters alone.
bool is_xml_text(std::string_view text);

// One document read strictly over pugixml, which by itself neither checks characters and entities, nor refuses
// DOCTYPEs, nor knows namespaces.
class XmlReader {
 public:
  // False: not well-formed, deeper than kXmlDepthMax, or with something that is not to be read (s3_xml.h).
  bool parse(std::string_view text);
  // The root, if it has this name and S3's namespace or none.
  pugi::xml_node root(const char* name) const;

 private:
  pugi::xml_document document_;
};

// The elements below a node. Nothing, when it has other content or attributes, or more than one of a name that is not
// in `repeatable`, or a name that is not in `known`.
std::optional<std::vector<pugi::xml_node>> xml_children(pugi::xml_node node,
                                                        std::initializer_list<std::string_view> known,
                                                        std::string_view repeatable = {});

// The text of an element that has nothing else.
std::optional<std::string> xml_text(pugi::xml_node node);

}  // namespace coffer
