#pragma once

#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace coffer {

// Whether the name is taken, be it by a link that leads nowhere.
bool name_taken(const std::string& path);

// A file that was not there before and that only its owner reads, durable when this returns. None is left when it
// fails.
Status write_new_file(const std::string& path, BytesView bytes);

}  // namespace coffer
