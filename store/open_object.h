#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <vector>

#include "base/clock.h"
#include "crypto/keyring.h"
#include "store/catalog.h"
#include "store/chunk_map.h"
#include "store/data_files.h"
#include "store/data_journal.h"
#include "store/file_header.h"
#include "store/inode_cache.h"
#include "store/numbers.h"
#include "store/plain_chunk.h"
#include "store/written_rows.h"

namespace coffer {

// What all open objects work with.
struct ObjectParts {
  Catalog& catalog;
  DataFiles& files;
  DataJournal& journal;
  InodeCache& inodes;
  Numbers& file_numbers;
  const Clock& clock;
  std::atomic<std::uint64_t> dirty_bytes{0};   // plaintext of all dirty chunks
  std::atomic<std::uint64_t> map_rows{0};      // in memory
  std::atomic<bool> scarce{false};             // the disk: dirty chunks take their blocks at once, so that a flush finds them
  std::atomic<std::uint64_t> rounds_begun{1};  // durable commits whose content is fixed
  std::atomic<std::uint64_t> rounds_ended{1};  // those that are durable
  std::vector<WrittenRow> written_rows{};  // by write_out(), for the commit that follows; Catalog::mutex() guards it
};

// One of an object's envelopes, with its cipher while the key serves.
struct KeptEnvelope {
  std::shared_ptr<const Envelope> envelope;
  Bytes encoded;
  std::uint64_t rule_version = 0;
  std::shared_ptr<const Aead> aead;  // none: not unlocked, or wiped
  std::uint64_t seals_leased = 0;    // as recorded, or to be recorded with the next commit
  std::uint64_t seals_used = 0;
  std::uint64_t lease_round = 0;  // rounds_begun when the lease began

  static Result<KeptEnvelope> decode(BytesView encoded, const StoreId& store, InodeNumber ino);
  static KeptEnvelope issued(Keyring::Issued issued, std::uint64_t rule_version);
};

// Done, or nothing happened and it will be possible after a durable commit (no slot, or no seal, is free before).
enum class Progress { kDone, kNeedsDurableCommit };

// The one in-memory identity of a regular file in use: envelopes and ciphers, map rows, chunks not yet sealed. The
// caller holds `mutex` as each verb says; verbs are atomic: they happened, or they did not. Content changes only inside
// the Gate.
//
// A slot is in one of these states: named by the current map; reserved for a dirty chunk; retired, that is named by the
// last commit or by a state a power cut may bring back, and so never overwritten (I1); or free.
class OpenObject {
 public:
  static Result<std::shared_ptr<OpenObject>> load_locked(ObjectParts& parts, const StoreId& store, InodeNumber ino);
  OpenObject(ObjectParts& parts, InodeCache::Handle inode, KeptEnvelope current);
  ~OpenObject();
  OpenObject(const OpenObject&) = delete;
  OpenObject& operator=(const OpenObject&) = delete;

  InodeNumber ino() const { return ino_; }
  const InodeCache::Handle& inode() const { return inode_; }

  std::shared_mutex mutex;  // everything below
  std::mutex key_mutex;     // held while the KMS is asked for this object; comes before `mutex`, which is not held then

  // --- with mutex shared ---
  bool loaded(std::uint64_t offset, std::uint64_t size) const;  // what read() of this range needs is in memory
  Result<std::size_t> read(std::uint64_t offset,
                           MutableBytes into) const;  // loaded() of the range; wipes `into` on failure
  const KeptEnvelope& current() const { return current_; }
  const std::optional<KeptEnvelope>& next() const { return next_; }
  bool gone() const { return gone_; }
  bool has_dirty_chunks() const { return !dirty_.empty(); }
  std::uint64_t file() const { return file_; }
  bool seals_run_out() const { return current_.seals_used >= kSealsPerKeyMax / 2; }
  std::uint32_t newest_generation() const;
  ContentRow content_row() const;

  // --- with mutex exclusive ---
  Status load(std::uint64_t offset, std::uint64_t size);
  Result<bool> stores(std::uint64_t offset, std::uint64_t size);  // writing there would add nothing to what is stored
  Result<Progress> write(std::uint64_t offset, BytesView bytes);
  Result<Progress> resize(std::uint64_t size);                           // to zero only if nothing is stored
  Result<Progress> punch(std::uint64_t offset, std::uint64_t size);      // reads as zeros; the size stays
  Result<std::optional<std::uint64_t>> next_data(std::uint64_t offset);  // none: holes up to the end
  Result<std::uint64_t> next_hole(std::uint64_t offset);
  Status flush();  // seals and writes every dirty chunk; the content stays what it is

  // The content begins anew under another envelope. The catalog has it already; the old file is the caller's garbage.
  void restart(KeptEnvelope fresh);
  // Another envelope over the same data keys. The catalog has it already; the cipher stays what it is.
  void rewrapped(std::shared_ptr<const Envelope> envelope, Bytes encoded, std::uint64_t rule_version);
  Status begin_reseal(KeptEnvelope next);
  Status abandon_reseal();  // only while nothing is sealed under next
  enum class Reseal { kMoved, kComplete, kNeedsDurableCommit };
  Result<Reseal> reseal_some();  // a bounded number of chunks moves under next
  Status finish_reseal();        // after kComplete: next is the only envelope
  Result<bool> anything_under_next();
  void unlocked(const std::shared_ptr<const Envelope>& envelope, std::shared_ptr<const Aead> aead);
  void wipe_keys(const std::string* kms_key_arn);  // null: all. Dirty chunks were flushed
  void forget_content();                           // the inode is gone

  // --- commits: the Gate is frozen; write_out with Catalog::mutex() too ---
  Status write_out();
  bool unsettled() const;  // rows hold slots back until a durable commit
  void begin_round();      // what write_out wrote is being made durable
  void end_round();        // it is
  bool evictable() const;
  // The second copy in its data file is to be written again. With mutex exclusive, outside of a freeze.
  bool header_due() const { return header_due_ && file_made_; }
  void want_header() { header_due_ = file_made_ = file_ != 0; }
  Status write_header(const FileHeaders& headers, const std::string& bucket, const std::string& path);
  // Gives blocks of free slots back, where so many follow one another, of some rows at a time; true: that was all.
  // Inside the Gate.
  Result<bool> punch_freed(std::size_t slots_min);
  bool worth_punching() const { return worth_punching_; }

  std::uint64_t queued_for = 0;  // the rule version it joined the reseal queue for; with mutex exclusive
  bool starved = false;          // the last commit found no room for its dirty chunks; with mutex exclusive
  bool listed = false;           // among the store's changed objects; guarded by that list's lock
  bool awaits_round = false;     // among its unsettled objects; guarded by that list's lock

 private:
  struct Row {
    ChunkRow entries;
    SlotSet current;   // named by entries
    SlotSet reserved;  // for dirty chunks
    SlotSet soft;      // named by the last commit
    SlotSet durable;   // named by what a power cut may bring back
    SlotSet round;     // named by the durable commit under way
    SlotSet stale;     // free or retired, with old bytes in them
    SlotSet fresh;     // named by entries and written since write_out
    std::vector<std::uint32_t> folds;  // by slot, of fresh ones (written_rows.h); empty if there are none
    std::uint8_t next_slot = 0;
    bool changed = false;   // since write_out
    bool in_round = false;  // `round` means something
    SlotSet taken() const { return current | reserved | soft | durable | round; }
    bool settled() const { return ((soft | durable | round) & ~current).none(); }
    // It differs in nothing from what is durable: neither a commit nor a round has to look at it.
    bool quiet() const { return !changed && !in_round && round.none() && soft == current && durable == current; }
  };
  struct DirtyChunk {
    PlainChunk plain;
    std::optional<std::uint8_t> slot;  // reserved; none while the object has no data file
  };
  struct Outgoing {
    std::uint64_t chunk = 0;
    std::uint8_t slot = 0;
    BytesView plain;
    ChunkEntry entry;
    std::uint32_t fold = 0;  // of the ciphertext
  };
  struct Cipher {
    const Envelope* envelope = nullptr;
    const Aead* aead = nullptr;
  };
  struct Gathered;  // chunks in slots that follow one another, read at once

  // opening
  Result<Cipher> cipher_of(const ChunkEntry& entry) const;
  Status open_stored(std::uint64_t chunk, const ChunkEntry& entry, MutableBytes plain) const;
  Status fill(std::uint64_t offset, MutableBytes into) const;
  Status read_gathered(const Gathered& gathered) const;
  Status fill_part(std::uint64_t chunk, const ChunkEntry& entry, std::size_t within, MutableBytes into) const;
  Result<PlainChunk> load_plain(std::uint64_t chunk);
  Status load_inline();

  // sealing
  KeptEnvelope& sealing_envelope();
  Status take_seals(std::size_t count);
  bool lease_lasts(std::size_t count);
  Status put_chunks(std::span<Outgoing> chunks);  // the ciphertexts are in their slots afterwards, the entries made
  Status put_run(std::span<Outgoing> run, std::vector<JournaledChunk>* copies);  // for the journal, or null
  Status seal_inline();

  // rows
  std::uint32_t chunk_size() const { return current_.envelope->chunk_size; }
  Result<Row*> row(std::uint32_t number);
  const Row* row_in_memory(std::uint32_t number) const;
  void mark_changed(std::uint32_t number, Row& row);
  WrittenRow written_row(std::uint32_t number, const Row& row) const;
  const ChunkEntry& entry_in_memory(std::uint64_t chunk) const;
  void install(const Outgoing& chunk);
  static std::optional<std::uint8_t> reserve(Row& row);
  class Reservation;  // slots for chunks on their way; given back unless they were used
  void take_out(std::uint64_t chunk);
  Result<std::uint64_t> cut_rows(std::uint32_t from);  // returns the bytes stored in rows that were not in memory
  Result<std::optional<std::uint32_t>> next_row(std::uint32_t from);
  void trim_rows(std::uint32_t keep_from, std::uint32_t keep_to);
  std::uint32_t unknown_from() const { return std::min(cut_from_, cut_in_round_); }
  void drop_content();

  // dirty chunks
  const DirtyChunk* dirty(std::uint64_t chunk) const;
  void put_dirty(std::uint64_t chunk, DirtyChunk fresh);
  void drop_dirty(std::uint64_t chunk);
  std::uint64_t stored_length(std::uint64_t chunk) const;  // its row is in memory
  Result<Progress> make_dirty(std::uint64_t chunk);        // as it is; a hole stays one
  Status take_blocks(std::uint64_t chunk, std::uint8_t slot);  // for a chunk about to become dirty, where they are scarce
  Result<std::shared_ptr<DiskFile>> data_file();               // made if need be
  template <class Change>
  std::int64_t edit_dirty(std::uint64_t chunk, Change&& change);  // returns by how much it grew
  Status move_to_file();
  void changed_content(std::int64_t allocated_by, std::uint64_t size);

  ObjectParts& parts_;
  const InodeNumber ino_;
  const InodeCache::Handle inode_;
  KeptEnvelope current_;
  std::optional<KeptEnvelope> next_;
  std::uint64_t file_ = 0;
  bool file_made_ = false;  // known to be on the disk
  bool header_due_ = false;
  std::optional<std::uint64_t> header_sequence_;  // of the last header written; none: not known
  ChunkEntry inline_entry_;
  Bytes inline_ciphertext_;  // empty: not in memory
  std::map<std::uint32_t, Row> rows_;
  std::set<std::uint32_t> active_rows_;  // every row that is not quiet, and for a while some that are
  std::map<std::uint64_t, DirtyChunk> dirty_;
  bool row_changed_ = false, content_changed_ = false, lease_changed_ = false;
  std::atomic<bool> worth_punching_ = false;
  std::uint32_t punch_from_ = 0;  // rows before it were punched
  bool gone_ = false;
  // Rows from here on were cut off without being read: what a power cut may bring back of them is not known.
  static constexpr std::uint32_t kNoRow = UINT32_MAX;
  std::uint32_t cut_from_ = kNoRow, cut_in_round_ = kNoRow;
  std::uint32_t reseal_row_ = 0;  // rows before it are under next
};

}  // namespace coffer
