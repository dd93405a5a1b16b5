#pragma once

#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "store/catalog.h"

namespace coffer {

// Few sealed chunks need no flush of their data files: the catalog keeps them too, and one flush of its log makes both
// durable (docs/FORMAT.md section 8). Here is what was written since the last durable commit, while that is little, and
// what the catalog holds. Thread-safe.
class DataJournal {
 public:
  // Whether chunks are wanted: since the last durable commit not too many were written.
  bool takes(std::size_t chunks) const;
  // Chunks that are in their data files, when their map entries are about to name them. Of those that a failed write left in
  // free slots nothing is told: the map names the ones before.
  void wrote(std::vector<JournaledChunk> chunks);
  void wrote_many();

  // --- of a durable commit, while nothing changes content ---
  bool fits() const;            // the catalog may take what was written: it is little, and so is what is there
  std::uint32_t pages() const;  // of the catalog that this changes at most
  void forget_written();        // its data files are synced instead
  Status put_locked(Catalog& catalog);  // what was written, with room for pages()
  // Everything of which the catalog says so is in data files that are synced now.
  Status clear_locked(Catalog& catalog);

 private:
  using Place = std::pair<InodeNumber, std::uint64_t>;  // object and chunk

  void wrote_many_locked();

  mutable std::mutex mutex_;  // all below
  std::map<Place, JournaledChunk> written_;
  std::size_t written_bytes_ = 0;
  bool too_much_ = false;
  std::map<Place, std::uint64_t> rows_;  // of the catalog's journal
  std::size_t rows_bytes_ = 0;           // as they are counted; a row that was replaced counts for both
};

// What a power cut left in the journal goes to the data files, as far as the map still names it, and is synced there;
// the catalog's next commit says that no row counts any more. With the catalog's mutex, before anybody reads data files, and
// not before it is known that this is the catalog to go on with. kNoSpace, kIo: nothing is lost, and the next opening does it.
Status settle_journal_locked(Catalog& catalog, Disk& disk);

}  // namespace coffer
