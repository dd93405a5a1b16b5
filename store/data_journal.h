#pragma once

#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "store/catalog.h"

namespace coffer {

// Few sealed chunks need no flush of their data files: the catalog keeps them too, and one flush of its log makes both
// durable (docs/FORMAT.md section 9). Here is what was written since the last durable commit, while that is little, and
// what the catalog holds. Thread-safe.
class DataJournal {
 public:
  // Called after a chunk was written to its data file and before a map entry names it.
  void wrote(InodeNumber ino, std::uint64_t chunk, BytesView seal, BytesView ciphertext);

  // --- of a durable commit, while nothing changes content ---
  bool fits() const;            // the catalog may take what was written: it is little, and so is what is there
  std::uint32_t pages() const;  // of the catalog that this changes at most
  void forget_written();        // its data files are synced instead
  Status put_locked(Catalog& catalog);  // what was written, with room for pages()
  // Everything of which the catalog says so is in data files that are synced now.
  Status clear_locked(Catalog& catalog);

 private:
  using Place = std::pair<InodeNumber, std::uint64_t>;  // object and chunk

  mutable std::mutex mutex_;  // all below
  std::map<Place, JournaledChunk> written_;
  std::size_t written_bytes_ = 0;
  bool too_much_ = false;
  std::map<Place, std::uint64_t> rows_;  // of the catalog's journal
  std::size_t rows_bytes_ = 0;           // as they are counted; a row that was replaced counts for both
};

// What a power cut left in the journal goes to the data files, as far as the map still names it, and is synced there.
// The rows go with the catalog's next commit. With the catalog's mutex, before anybody reads data files.
Status settle_journal_locked(Catalog& catalog, Disk& disk);

}  // namespace coffer
