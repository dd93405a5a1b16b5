#pragma once

#include <cstddef>
#include <cstdint>

// Every limit, with its reason. A loop, queue, cache or input without a line here is a mistake.
namespace coffer {

// --- sizes on disk (docs/FORMAT.md) ---

// One seal covers this much of an object. 16 KiB: AES-GCM runs at 97% of its speed on long inputs, and a 4 KiB
// overwrite reads and seals three pages it did not need, less than what a FUSE round trip costs.
inline constexpr std::uint32_t kChunkSize = 16 * 1024;
inline constexpr std::uint32_t kChunkSizeMax = 64 * 1024;  // lengths within a map row are 16 bits

// One map row: 128 chunks. With 12 + 16 bytes of seal per chunk a row of one layer fits a catalog page's leaf.
inline constexpr std::uint32_t kChunksPerRow = 128;
// A row owns twice the slots, so that all its chunks can be rewritten once between two durable commits.
inline constexpr std::uint32_t kSlotsPerRow = 256;

// The catalog's pages; 40 bytes of each hold nonce and tag (XAES-256-GCM).
inline constexpr std::uint32_t kPageSize = 4096;
inline constexpr std::uint32_t kPageReserved = 40;
inline constexpr std::uint32_t kPageContentSize = kPageSize - kPageReserved;  // SQLite's; the seal is behind it

// Objects up to this size live in the catalog: no data file, no second flush.
inline constexpr std::uint32_t kInlineSizeMax = 8 * 1024;

inline constexpr std::uint64_t kObjectSizeMax = std::uint64_t{16} << 40;  // 16 TiB: 2^24 map rows are 32 TiB
inline constexpr std::size_t kNameSizeMax = 255;                          // NAME_MAX
inline constexpr std::size_t kSymlinkSizeMax = 4095;                      // PATH_MAX less its NUL
inline constexpr std::size_t kXattrNameSizeMax = 255;                     // XATTR_NAME_MAX
inline constexpr std::size_t kXattrSizeMax = 64 * 1024;                   // XATTR_SIZE_MAX
inline constexpr std::size_t kXattrsSizeMax = 1024 * 1024;                // of one inode together: bounds its rows
inline constexpr std::uint32_t kLinksMax = 65000;                         // as ext4
inline constexpr std::size_t kContextSizeMax = 8 * 1024;                  // KMS: 8 KiB of encryption context

// A map row's id is inode << 24 | row in SQLite's 63 bits.
inline constexpr std::uint64_t kInodeMax = (std::uint64_t{1} << 39) - 1;
inline constexpr std::uint32_t kMapRowMax = (std::uint32_t{1} << 24) - 1;
inline constexpr std::size_t kKeySlotsFileMax = 64 * 1024;  // eight slots are 4 KiB; a larger file is not ours
inline constexpr std::size_t kFsckDamageMax = 1000;         // lines of a report; a person reads no more, memory stays bounded
inline constexpr std::size_t kFsckPage = 256;               // inodes or map rows per turn of the catalog's lock

// --- keys ---

// SP 800-38D section 8.3: random 96-bit nonces, at most 2^32 seals under one key.
inline constexpr std::uint64_t kSealsPerKeyMax = std::uint64_t{1} << 32;
// Seals are counted by leases, recorded before use, so that a crash forgets none.
inline constexpr std::uint64_t kSealLease = std::uint64_t{1} << 20;

inline constexpr std::int64_t kBucketKeySecondsMax = 300;  // BK-02: AWS publishes none
inline constexpr std::uint64_t kBucketKeyUsesMax = 1'000'000;
inline constexpr std::size_t kBucketKeysCached = 1024;  // opened bucket keys in memory, the oldest go first

inline constexpr std::size_t kKmsKeysMax = 10'000;          // all are held in memory
inline constexpr std::size_t kOnDemandRotationsMax = 25;    // KMS-25
inline constexpr std::size_t kKeyMaterialsMax = 226;        // the first, 25 on demand, and 50 years of the shortest period
inline constexpr std::int64_t kRotationDaysMin = 90, kRotationDaysMax = 2560, kRotationDays = 365;  // KMS: RotationPeriodInDays
inline constexpr std::size_t kKeyTagsMax = 50;              // KMS: of one key
inline constexpr std::size_t kKeyTagNameMax = 128, kKeyTagValueMax = 256;  // KMS
inline constexpr std::int64_t kImportTokenSeconds = 24 * 3600;  // KMS: an import token's life
inline constexpr std::int64_t kImportedDaysMax = 365;       // KMS: from ImportKeyMaterial to ValidTo
inline constexpr std::size_t kKmsEncryptMax = 4096;         // KMS: Plaintext of Encrypt
inline constexpr std::size_t kKmsBlobMax = 6144;            // KMS: CiphertextBlob of Decrypt
inline constexpr std::size_t kKmsPlaintextMax = 1024;       // KMS: NumberOfBytes of GenerateDataKey
inline constexpr std::size_t kKmsDescriptionMax = 8192;     // KMS: Description of CreateKey
inline constexpr std::size_t kKmsAliasSizeMax = 256;        // KMS: AliasName, with its alias/
inline constexpr std::size_t kKmsArnSizeMax = 2048;         // KMS: KeyId, in every form
inline constexpr std::size_t kKmsAliasesMax = kKmsKeysMax;  // all are held in memory
inline constexpr std::size_t kUnlockSlotsMax = 8;
inline constexpr std::size_t kUnlockSlotsJsonMax = 64 * 1024;  // eight slots are 4 KiB

// Argon2id: at least RFC 9106's second choice; at most what a person would wait for, so that an edited file cannot
// make unlocking run for days or take all memory.
inline constexpr std::uint64_t kArgon2PassesMin = 3;
inline constexpr std::uint64_t kArgon2PassesMax = 64;
inline constexpr std::uint64_t kArgon2BytesMin = std::uint64_t{64} << 20;
inline constexpr std::uint64_t kArgon2BytesMax = std::uint64_t{4} << 30;
inline constexpr std::size_t kPassphraseSizeMax = 1024;     // one typed line; a terminal gives 4095 at most

// --- commits ---

inline constexpr std::int64_t kCommitIntervalMs = 50;     // what a kill may take back
inline constexpr std::int64_t kDurableIntervalMs = 5000;  // what a power cut may take back
inline constexpr std::size_t kDirtyBytesMax = 32 << 20;   // plaintext waiting to be sealed
inline constexpr std::uint64_t kWalBytesMax = 32 << 20;   // then a checkpoint; SQLite copies it whole
inline constexpr std::size_t kCatalogCacheKib = 16 * 1024;  // SQLite's pages in memory: the names of 100,000 files
inline constexpr std::size_t kTagNodesCached = 2048;       // of 4 KiB, each over 240 pages: all of a catalog of 1.8 GiB
inline constexpr std::size_t kLogGrowth = 256 << 10;       // the log's file grows by this: zeros a commit can wait for
inline constexpr std::size_t kDatabaseGrowth = 256 << 10;   // coffer.db's blocks are reserved by this, before a commit needs them
inline constexpr std::uint32_t kDatabaseSparePages = 64;    // with blocks behind coffer.db's last: deleting on a full disk may split pages
inline constexpr std::uint32_t kPagesAhead = 48;            // of the log, that no operation takes from the commit behind it
inline constexpr std::uint32_t kFreePagesKept = 64;         // of coffer.db, when growing takes free pages on a full disk: as above
inline constexpr std::size_t kLogBufferKept = 1 << 20;     // memory for one commit's frames that stays between commits
inline constexpr std::size_t kOpenObjectsCached = 4096;   // objects whose map and cipher stay in memory unused
inline constexpr std::size_t kInodesCached = 16 * 1024;    // attributes in memory, 200 bytes each; referenced or not
inline constexpr std::size_t kEvictionLook = 16;            // of the two, looked at per insertion, so that it stays cheap
inline constexpr std::size_t kMapRowsCached = 4096;        // decoded map rows, up to 8 KiB each; then settled ones go
inline constexpr std::uint64_t kMapRowsUncounted = 64;     // of 128 MiB: so many are not worth asking how many there are
inline constexpr std::size_t kUnsettledRowsMax = 2048;     // rows that hold slots back for the next durable commit; then it comes early
// Sealed chunks that one durable commit keeps in the catalog instead of syncing their data files, and all that it may keep
// before these are synced: a power cut leaves at most so much to be written again.
inline constexpr std::size_t kJournalStepMax = 256 << 10, kJournalBytesMax = 1 << 20;
inline constexpr std::size_t kJournalChunksMax = 64;       // of one durable commit: a row takes pages of the catalog however short it is
inline constexpr std::size_t kWriteBatchChunks = 64;       // chunks sealed into one buffer and one pwrite: 1 MiB
inline constexpr std::size_t kResealStepChunks = 64;       // moved per step, with the object locked
inline constexpr std::size_t kRewrapStepObjects = 256;     // wrapped anew per step: some 10 ms, then the mount's users
inline constexpr std::int64_t kResealRetrySeconds = 30;    // before an object whose key failed is tried again
inline constexpr std::size_t kGarbageStep = 64;            // data files removed, or regions punched, per call
inline constexpr std::size_t kPunchSlotsMin = 16;          // freed slots in a row worth a punch: 195 us for 256 KiB
inline constexpr std::uint64_t kSpaceReserve = 64 << 20;   // kept from new data, so that deletions and commits go on
inline constexpr std::size_t kPathsCached = 4096;          // key paths of directories
// The catalog's copy: minutes, because it writes the whole catalog again; an hour, because a quiet mount's log may never
// grow to a checkpoint. What is copied in a step is written in some milliseconds. While one is made the log may grow to
// four times what it else does: a gigabyte of catalog under full load. An unmount waits for no larger copy than this.
inline constexpr std::int64_t kCatalogCopySeconds = 600;
inline constexpr std::int64_t kCatalogCopySecondsMax = 3600;
inline constexpr std::size_t kCatalogCopyStep = 4 << 20;
inline constexpr std::uint64_t kWalBytesHeldMax = 4 * kWalBytesMax;
inline constexpr std::uint64_t kCatalogCopyAtEndMax = 1 << 30;
inline constexpr std::size_t kHeadersDueMax = 16 * 1024;   // renamed objects whose second copies wait; more keep an old name
inline constexpr std::size_t kOpenDataFiles = 512;        // descriptors, below a common limit of 1024

// An online check. The usual rate leaves a disk of 150 MB/s half of itself; an object that does not keep still is looked at
// once more later; to put its place down costs a commit.
inline constexpr std::uint64_t kScrubStep = 4 << 20;       // read between two rests
inline constexpr std::int64_t kScrubMibDefault = 64, kScrubMibMax = 1 << 20;  // a second
inline constexpr std::int64_t kScrubSaveMs = 1000;         // between two times that its place is put down
inline constexpr int kScrubTries = 20;                     // of a look that changes under it: then the next step
inline constexpr std::size_t kScrubAgainMax = kFsckDamageMax;  // objects with damage looked at again after an unmount
inline constexpr std::uint32_t kScrubPages = 64;           // catalog pages checked while a checkpoint waits: 2 ms

// --- the server ---

inline constexpr std::size_t kBodySizeMax = 64 * 1024;       // PBE-50
inline constexpr std::size_t kConnectionsMax = 256;          // each holds a buffer of 64 KiB at most
inline constexpr unsigned kConnectionSeconds = 15;           // idle, then closed
inline constexpr std::int64_t kRequestSeconds = 60;          // for one request to arrive whole, however it drips
inline constexpr std::int64_t kStopSeconds = 10;             // for the requests under way, when the server stops
inline constexpr std::size_t kHeaderSizeMax = 32 * 1024;     // request line and headers; AWS: 8 KiB each
inline constexpr std::size_t kBodyDrainedMax = 1 << 20;      // of a refused body, so that its sender hears the answer
inline constexpr std::int64_t kClockSkewSeconds = 15 * 60;   // AUTH-04
inline constexpr std::int64_t kSessionSeconds = 300;           // S3: of CreateSession
inline constexpr std::size_t kSessionTokenMax = 4096;        // about 400 bytes are used
inline constexpr std::int64_t kPresignedSecondsMax = 7 * 24 * 3600;  // S3: X-Amz-Expires
inline constexpr std::size_t kXmlDepthMax = 16;              // the schema has 5
inline constexpr std::size_t kKmsKeyNameMax = 2048;          // KMS: KeyId has 1 to 2048 characters
inline constexpr std::size_t kBucketsPerPageMax = 10'000;    // S3: max-buckets
inline constexpr std::size_t kDirectoryBucketsPerPageMax = 1000;  // S3: max-directory-buckets
inline constexpr int kJsonDepthMax = 16;                     // KMS's deepest request has 3
inline constexpr std::size_t kCredentialsFileMax = 64 * 1024;  // some hundred access keys

// --- the audit trail ---

inline constexpr std::uint64_t kAuditFileBytesMax = 16 << 20;  // then the next file; reading one takes some 10 ms
inline constexpr std::uint64_t kAuditFilesKept = 64;           // a gibibyte: two million calls
inline constexpr std::size_t kAuditRecordMax = 64 * 1024;      // the largest request is a body of 64 KiB, most of it not told
inline constexpr std::size_t kAuditPageMax = 1000;             // records in one answer
inline constexpr std::int64_t kAuditSettleMs = 5000;           // what a power cut may take back, as of everything else

// --- the coffer program ---

inline constexpr std::size_t kAnswerSizeMax = 16 << 20;   // every key of a full KMS at once is 2 MiB
inline constexpr std::size_t kAnswerHeadersMax = 100;     // the server sends about ten
inline constexpr long kAnswerSecondsMax = 600;            // queueing a bucket of 10^7 objects takes minutes
inline constexpr std::int64_t kResealPollMs = 100;        // between two looks at the queue: no eye sees the difference
inline constexpr std::int64_t kResealStuckNs = 60'000'000'000;  // no object, no commit for so long: a key does not serve
inline constexpr std::int64_t kUnmountPollMs = 20;        // between two looks at the lock of a daemon that is ending
inline constexpr std::size_t kDaemonWordSizeMax = 4096;   // cofferd's line of error, with paths in it
inline constexpr std::size_t kCatPieceSize = 1 << 20;     // 64 chunks at a time, whatever the object's size

// --- the mount ---

// Background requests the kernel keeps under way (readahead, write-back): two threads are never idle, and 64 requests
// of 1 MiB are what a slow disk may hold up.
inline constexpr unsigned kFuseBackgroundMax = 64;
inline constexpr unsigned kFuseWorkersMin = 3;  // one receives, one waits for the disk, one serves what the notifier causes
inline constexpr unsigned kFuseWorkersMax = 4;  // more only wait for the catalog's lock
// A thread that waits for a flush keeps the device so long: a flush of a fast disk is over, and who asks meanwhile hardly
// notices. After two flushes in a row that lasted or held others up the device goes to others without delay for the
// next 64; one alone is a thread that the machine stopped.
inline constexpr std::int64_t kLoanLookUs = 2000;
inline constexpr unsigned kLoansMissed = 2;
inline constexpr unsigned kLoansRefused = 64;
inline constexpr unsigned kLoanLooksIdle = 16;  // then nobody looks any more, until the next
inline constexpr std::int64_t kWriteBackMs = 5000;          // for the kernel's dirty pages of a key that ends, or at the end
inline constexpr std::size_t kCopyRangeMax = 16 << 20;      // of one copy_file_range request: the caller asks on
inline constexpr std::size_t kGroupsMax = 65536;            // NGROUPS_MAX
inline constexpr unsigned kPollUsDefault = 50;              // a program's next request comes within, or not at once
inline constexpr unsigned kPollUsMax = 1000;                // longer than a sleeper needs to wake is heat alone
inline constexpr std::int64_t kCheckpointLookMs = 500;      // the log grows by half its limit in this time at most
inline constexpr std::int64_t kBehindLookMs = 50;           // 1,280 removed files go in a second, 64 at a time
inline constexpr int kStoreWaitSeconds = 10;                // for a daemon that is ending
inline constexpr int kListenBacklog = 64;                   // connections not yet accepted

}  // namespace coffer
