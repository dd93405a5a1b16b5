#include "store/root_rekey.h"

#include <algorithm>

#include "base/limits.h"
#include "crypto/bucket_keys.h"
#include "crypto/keyring.h"
#include "crypto/kms_blob.h"
#include "crypto/local_kms.h"
#include "store/audit_file.h"
#include "store/catalog.h"
#include "store/catalog_copy.h"
#include "store/catalog_repair.h"
#include "store/chunk_map.h"
#include "store/file_header.h"
#include "store/key_slots.h"

namespace coffer {
namespace {

constexpr std::string_view kSuffix = ".next";
// Of which commit of the old catalog the next one is a copy.
constexpr std::string_view kCopyOf = "rekey_of";

std::string next_name(std::string_view name) { return std::string(name) + std::string(kSuffix); }
std::string next_slots_name() { return next_name(kKeySlotsName); }

// The store's folder once more, every file in it under its next name.
class NextDisk final : public Disk {
 public:
  explicit NextDisk(Disk& below) : below_(below) {}
  Result<std::unique_ptr<DiskFile>> open(std::string_view name, OpenMode mode) override {
    return below_.open(next_name(name), mode);
  }
  Status remove(std::string_view name) override { return below_.remove(next_name(name)); }
  Status rename(std::string_view from, std::string_view to) override {
    return below_.rename(next_name(from), next_name(to));
  }
  Status make_folder(std::string_view name) override { return below_.make_folder(next_name(name)); }
  Result<std::vector<std::string>> list(std::string_view folder) override { return below_.list(folder); }
  Status sync_folder(std::string_view folder) override { return below_.sync_folder(folder); }
  Status sync_all() override { return below_.sync_all(); }
  Result<Space> space() override { return below_.space(); }
  std::uint64_t file_size_max() override { return below_.file_size_max(); }

 private:
  Disk& below_;
};

// The KMS's keys for one who has the root: one that is disabled, or whose material has expired and is still there, or whose
// policy keeps others out, is as good as any. Nothing is written.
class EnabledKeys final : public KmsRecords {
 public:
  explicit EnabledKeys(KmsRecords& below) : below_(below) {}
  Result<std::vector<KmsKeyRecord>> load_keys() override {
    COFFER_ASSIGN(auto records, below_.load_keys());
    for (auto& record : records) {
      record.metadata.state = KeyState::kEnabled;
      record.metadata.expires_ns.reset();
      record.policy = R"({"Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}})";
    }
    return records;
  }
  Result<std::vector<KeyAlias>> load_aliases() override { return below_.load_aliases(); }
  Result<std::map<std::string, std::uint64_t>> load_call_counts() override { return below_.load_call_counts(); }
  Status save_key(const KmsKeyRecord&) override { return read_only(); }
  Status save_alias(const KeyAlias&) override { return read_only(); }
  Status remove_alias(const AccountId&, std::string_view) override { return read_only(); }
  Status save_call_counts(const std::map<std::string, std::uint64_t>&) override { return read_only(); }

 private:
  static Error read_only() { return {Code::kReadOnly, "a root key is being replaced"}; }
  KmsRecords& below_;
};

Result<std::optional<Bytes>> read_if_there(Disk& disk, std::string_view name) {
  auto file = disk.open(name, OpenMode::kExisting);
  if (!file && file.code() == Code::kNotFound) return std::optional<Bytes>();
  if (!file) return std::move(file).error();
  COFFER_ASSIGN(const auto size, (*file)->size());
  if (size > kKeySlotsFileMax) return Error{Code::kDamaged, std::string(name) + " is too large to be one of ours"};
  Bytes bytes(size);
  COFFER_ASSIGN(const auto read, (*file)->pread(0, bytes));
  bytes.resize(read);
  return std::optional(std::move(bytes));
}

// Everything with a next name but the slots, which say what the others are and so come first and go last.
Result<std::vector<std::string>> next_files(Disk& disk) {
  COFFER_ASSIGN(auto names, disk.list(""));
  std::erase_if(names, [](const std::string& name) { return !name.ends_with(kSuffix) || name == next_slots_name(); });
  return names;
}

Status remove_next_slots(Disk& disk) {
  COFFER_TRY(disk.sync_folder(""));
  COFFER_TRY(disk.remove(next_slots_name()));
  return disk.sync_folder("");
}

Status remove_unfinished(Disk& disk) {
  COFFER_ASSIGN(const auto names, next_files(disk));
  for (const auto& name : names) COFFER_TRY(disk.remove(name));
  return remove_next_slots(disk);
}

Status go_through(Disk& disk) {
  COFFER_TRY(remove_catalog_copies(disk));  // sealed under the old root
  COFFER_ASSIGN(const auto names, next_files(disk));
  for (const auto& name : names) COFFER_TRY(disk.rename(name, name.substr(0, name.size() - kSuffix.size())));
  return remove_next_slots(disk);
}

// Copies one catalog into another under other keys. Whatever is copied twice is the same, so it may begin again anywhere.
class CatalogMove {
 public:
  CatalogMove(Catalog& from, Catalog& to, Disk& disk, Keyring& keyring, const FileHeaders& headers,
              const FileHeaders& next_headers, const KeySchedule& next, const Principal& owner)
      : from_(from),
        to_(to),
        disk_(disk),
        keyring_(keyring),
        headers_(headers),
        next_headers_(next_headers),
        next_(next),
        owner_(owner) {}

  Status run(const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
    std::uint64_t done = 0, total = 0;
    {
      std::scoped_lock lock(from_.mutex(), to_.mutex());
      COFFER_ASSIGN(total, from_.number("inodes", 1));
      COFFER_TRY(to_.copy_values(from_));
    }
    InodeNumber after = 0;
    while (true) {
      std::scoped_lock lock(from_.mutex(), to_.mutex());
      COFFER_ASSIGN(const auto page, from_.inodes_after(after, kFsckPage));
      if (page.empty()) break;
      for (const auto ino : page) COFFER_TRY(copy_inode(ino));
      COFFER_TRY(commit());
      after = page.back();
      done += page.size();
      progress(std::min(done, total), total);
    }
    std::scoped_lock lock(from_.mutex(), to_.mutex());
    COFFER_TRY(copy_queues());
    return commit();
  }

 private:
  // An inode's row comes last of all that is its own: where it is there, the rest is.
  Status copy_inode(InodeNumber ino) {
    const auto known = to_.inode(ino);
    if (known.ok() && ino != kRootInode) return {};
    if (!known.ok() && known.code() != Code::kNotFound) return known.error();
    COFFER_ASSIGN(const auto inode, from_.inode(ino));
    switch (inode.kind) {
      case FileKind::kFile: COFFER_TRY(copy_content(ino)); break;
      case FileKind::kDirectory: COFFER_TRY(copy_names(ino)); break;
      case FileKind::kSymlink: {
        COFFER_ASSIGN(const auto target, from_.symlink_target(ino));
        COFFER_TRY(to_.set_symlink_target(ino, target));
        break;
      }
      case FileKind::kFifo:
      case FileKind::kSocket:
      case FileKind::kCharDevice:
      case FileKind::kBlockDevice: break;
    }
    COFFER_ASSIGN(const auto attributes, from_.xattr_names(ino));
    for (const auto& name : attributes) {
      COFFER_ASSIGN(const auto value, from_.xattr(ino, name));
      COFFER_TRY(to_.set_xattr(ino, name, value));
    }
    return known.ok() ? to_.update_inode(inode) : to_.insert_inode(inode);
  }

  Status copy_names(InodeNumber directory) {
    for (std::uint64_t cookie = 0;;) {
      COFFER_ASSIGN(const auto entries, from_.list(directory, cookie, kFsckPage));
      for (const auto& entry : entries) {
        COFFER_TRY(to_.replace_name(directory, entry.name, entry.ino, entry.kind));
        cookie = entry.cookie;
      }
      if (entries.size() < kFsckPage) return {};
      COFFER_TRY(commit());
    }
  }

  Status copy_content(InodeNumber ino) {
    auto row = from_.content(ino);
    if (!row.ok() && row.code() == Code::kNotFound) return {};
    if (!row.ok()) return row.error();
    for (std::uint32_t next = 0;;) {
      COFFER_ASSIGN(const auto numbers, from_.map_rows(ino, next, kFsckPage));
      for (const auto number : numbers) {
        COFFER_ASSIGN(const auto encoded, from_.map_row(ino, number));
        if (encoded) COFFER_TRY(to_.put_map_row(ino, number, *encoded));
        next = number + 1;
      }
      if (numbers.size() < kFsckPage) break;
      COFFER_TRY(commit());
    }
    COFFER_ASSIGN(row->envelope, moved(row->envelope));
    if (row->next_envelope) {
      COFFER_ASSIGN(row->next_envelope, moved(*row->next_envelope));
    }
    if (row->file != 0) COFFER_TRY(move_header(*row));
    return to_.put_content(*row);
  }

  // The second copy of name and envelope in the data file: the old root opens neither half of it afterwards. It is there
  // for a lost catalog alone, so one that cannot be read is left to be written when the object changes.
  Status move_header(const ContentRow& row) {
    auto file = disk_.open(data_file_name(row.file), OpenMode::kExisting);
    if (!file && file.code() == Code::kNotFound) return {};
    if (!file) return std::move(file).error();
    auto header = headers_.read(**file, row.file);
    if (!header && header.code() == Code::kDamaged) return {};
    if (!header) return std::move(header).error();
    if (!*header) return {};
    (*header)->envelope = row.envelope;
    (*header)->next_envelope = row.next_envelope;
    for (int half = 0; half < 2; ++half) {
      ++(*header)->sequence;
      COFFER_TRY(next_headers_.write(**file, row.file, **header));
    }
    return {};
  }

  Result<Bytes> moved(BytesView encoded) {
    COFFER_ASSIGN(const auto envelope, Envelope::decode(encoded));
    const auto moved = keyring_.move_root(envelope, next_, owner_);
    // The KMS key is gone, and every way to the object with it: what is left of its envelope says nothing to anybody.
    if (!moved.ok() && moved.code() == Code::kKeyMissing) return to_bytes(encoded);
    if (!moved.ok() && moved.code() == Code::kKeyPendingImport)
      return Error{Code::kKeyPendingImport, moved.error().message + " Import its material again, and then call again"};
    if (!moved.ok()) return moved.error();
    return moved->encode();
  }

  Status copy_queues() {
    COFFER_ASSIGN(const auto buckets, from_.buckets());
    for (const auto& bucket : buckets) {
      if (to_.bucket(bucket.ino).ok()) COFFER_TRY(to_.remove_bucket(bucket.ino));
      COFFER_TRY(to_.insert_bucket(bucket));
      COFFER_ASSIGN(const auto policy, from_.bucket_policy(bucket.ino));
      if (policy) COFFER_TRY(to_.put_bucket_policy(bucket.ino, *policy));
    }
    COFFER_ASSIGN(const auto garbage, from_.garbage(SIZE_MAX >> 1));
    for (const auto file : garbage) COFFER_TRY(to_.add_garbage(file));
    COFFER_ASSIGN(const auto queue, from_.reseal_queue());
    for (const auto& entry : queue) COFFER_TRY(to_.enqueue_reseal(entry.ino, entry.leaving));
    return {};
  }

  // What is not committed is in memory.
  Status commit() {
    SealedDatabase::DataSynced all;
    all.this_commit = true;
    COFFER_TRY(to_.database().commit(all));
    if (to_.database().log_bytes() <= kWalBytesMax) return {};
    COFFER_TRY(to_.database().sync_log());
    return to_.database().checkpoint_rest();
  }

  Catalog& from_;
  Catalog& to_;
  Disk& disk_;
  Keyring& keyring_;
  const FileHeaders& headers_;
  const FileHeaders& next_headers_;
  const KeySchedule& next_;
  const Principal& owner_;
};

Status copy_kms(Catalog& from, Catalog& to, const AeadSuite& suite, const KeySchedule& keys, const KeySchedule& next) {
  const Key root = keys.purpose_key(Purpose::kKms), next_root = next.purpose_key(Purpose::kKms);
  COFFER_ASSIGN(auto records, from.load_keys());
  for (auto& record : records) {
    for (auto& material : record.materials) {
      if (material.wrapped.empty()) continue;  // imported, and gone
      COFFER_ASSIGN(material, move_material(suite, root, next_root, keys.store_id(), record.metadata.key_id, material));
    }
    COFFER_TRY(to.save_key(record));
  }
  COFFER_ASSIGN(const auto aliases, from.load_aliases());
  for (const auto& alias : aliases) COFFER_TRY(to.save_alias(alias));
  COFFER_ASSIGN(const auto counts, from.load_call_counts());
  return to.save_call_counts(counts);
}

Result<Realm> realm_of(Catalog& catalog) {
  std::lock_guard lock(catalog.mutex());
  return catalog.realm();
}

// One store's change of root.
class Rekey {
 public:
  Rekey(Disk& disk, const AeadSuite& suite, const Clock& clock, std::string_view boot_id, const UnlockSlots& slots,
        const KeySchedule& keys, const RekeyWish& wish)
      : disk_(disk),
        next_disk_(disk),
        suite_(suite),
        clock_(clock),
        boot_id_(boot_id),
        slots_(slots),
        keys_(keys),
        wish_(wish) {}

  Status run() {
    for (const auto& wanted : wish_.secrets) {
      if (slots_.open(suite_, wanted.secret).ok())
        return Error{Code::kExists, "what opens the store now may be what became known: give a new secret"};
    }
    COFFER_ASSIGN(const auto old, Catalog::open(disk_, keys_, suite_, boot_id_));
    COFFER_TRY(settle_key_slots(*old, disk_, slots_));
    COFFER_TRY(take_up(*old));
    COFFER_TRY(copy(*old));
    COFFER_TRY(complete());
    wish_.before_switch();
    // From here on the new secrets alone open the store.
    COFFER_TRY(write_key_slots(disk_, *next_slots_));
    return {};
  }

 private:
  // The new root of an interrupted call, if one of the secrets opens it and the old catalog is as it was; else another.
  Status take_up(Catalog& old) {
    std::uint64_t commit_counter = 0;
    {
      std::lock_guard lock(old.mutex());
      COFFER_ASSIGN(commit_counter, old.number("commit_counter"));
    }
    if (const auto left = read_key_slots(next_disk_); left.ok()) {
      for (const auto& wanted : wish_.secrets) {
        auto opened = left->open(suite_, wanted.secret);
        if (!opened.ok()) continue;
        next_keys_ = std::make_unique<KeySchedule>(std::move(opened->keys));
        break;
      }
    }
    if (next_keys_ != nullptr) {
      COFFER_TRY(write_next_slots());
      auto catalog = Catalog::open(next_disk_, *next_keys_, suite_, boot_id_);
      if (catalog.ok()) {
        next_ = *std::move(catalog);
        std::lock_guard lock(next_->mutex());
        const auto copy_of = next_->number(kCopyOf);
        if (copy_of.ok() && *copy_of == commit_counter + 1) return {};
      }
      next_.reset();
    }
    return begin_anew(old, commit_counter);
  }

  Status begin_anew(Catalog& old, std::uint64_t commit_counter) {
    COFFER_ASSIGN(const auto slots_left, read_if_there(disk_, next_slots_name()));
    if (slots_left) COFFER_TRY(remove_unfinished(disk_));
    next_keys_ = std::make_unique<KeySchedule>(Key::random(), slots_.store_id());
    COFFER_TRY(write_next_slots());
    COFFER_ASSIGN(const Realm realm, realm_of(old));
    COFFER_ASSIGN(next_, Catalog::create(next_disk_, *next_keys_, suite_, realm, boot_id_));
    std::lock_guard lock(next_->mutex());
    COFFER_TRY(next_->set_number(kCopyOf, commit_counter + 1));  // 0 is none
    return {};
  }

  // With the secrets of this call, and no others.
  Status write_next_slots() {
    next_slots_ = UnlockSlots::none(slots_.store_id());
    for (const auto& wanted : wish_.secrets) {
      COFFER_ASSIGN(next_slots_, next_slots_->with(suite_, *next_keys_, wanted.secret, wanted.kind));
    }
    return write_key_slots(next_disk_, *next_slots_);
  }

  Status copy(Catalog& old) {
    COFFER_ASSIGN(const Realm realm, realm_of(old));
    const Principal owner = Principal::root_of(realm.account);
    EnabledKeys records(old);
    COFFER_ASSIGN(const auto kms, LocalKms::open(keys_, suite_, records, clock_, realm));
    BucketKeys bucket_keys(*kms, suite_, clock_);
    Keyring keyring(keys_, suite_, *kms, bucket_keys);
    COFFER_TRY(copy_kms(old, *next_, suite_, keys_, *next_keys_));
    COFFER_TRY(wrap_audit_keys(disk_, suite_, keys_, *next_keys_));
    const FileHeaders headers(keys_, suite_), next_headers(*next_keys_, suite_);
    return CatalogMove(old, *next_, disk_, keyring, headers, next_headers, *next_keys_, owner).run(wish_.progress);
  }

  // The next catalog, checked and wholly on the disk.
  Status complete() {
    {
      std::lock_guard lock(next_->mutex());
      COFFER_ASSIGN(const auto damage, next_->verify());
      if (!damage.empty())
        return Error{Code::kDamaged, "the catalog is damaged, so the old root key stays: run `coffer fsck`: " + damage[0].line()};
      COFFER_TRY(next_->set_blob("keyslots_hash", next_slots_->hash()));
    }
    COFFER_TRY(commit_everything(*next_, disk_));
    {
      std::lock_guard lock(next_->mutex());
      COFFER_TRY(next_->database().checkpoint_rest());
    }
    next_.reset();
    return disk_.sync_all();
  }

  Disk& disk_;
  NextDisk next_disk_;
  const AeadSuite& suite_;
  const Clock& clock_;
  const std::string boot_id_;
  const UnlockSlots& slots_;
  const KeySchedule& keys_;
  const RekeyWish& wish_;
  std::unique_ptr<KeySchedule> next_keys_;
  std::optional<UnlockSlots> next_slots_;
  std::unique_ptr<Catalog> next_;  // ends before the keys it is sealed under
};

}  // namespace

Status settle_rekey(Disk& disk, Unfinished unfinished) {
  for (const auto& name : {std::string(kKeySlotsNewName), next_name(kKeySlotsNewName)}) {
    if (auto removed = disk.remove(name); !removed && removed.code() != Code::kNotFound) return removed;
  }
  COFFER_ASSIGN(const auto next, read_if_there(disk, next_slots_name()));
  if (!next) return {};
  COFFER_ASSIGN(const auto now, read_if_there(disk, kKeySlotsName));
  if (now && *now == *next) return go_through(disk);
  return unfinished == Unfinished::kRemove ? remove_unfinished(disk) : Status();
}

Status rekey_root(Disk& disk, const AeadSuite& suite, const Clock& clock, std::string_view boot_id,
                  const UnlockSlots& slots, const KeySchedule& keys, const RekeyWish& wish) {
  // Its catalog is a copy whose objects nobody has looked at yet, and which may know older unlock slots.
  if (is_restoring(disk))
    return Error{Code::kDamaged, "a repair of this store did not end: run `coffer fsck STORE --repair` again"};
  COFFER_TRY(Rekey(disk, suite, clock, boot_id, slots, keys, wish).run());
  return settle_rekey(disk, Unfinished::kKeep);
}

}  // namespace coffer
