#include "crypto/bucket_keys.h"

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>

#include "base/limits.h"
#include "base/wire.h"
#include "crypto/encryption_context.h"
#include "crypto/hkdf.h"
#include "crypto/key_schedule.h"

namespace coffer {
namespace {

constexpr std::uint8_t kBucketKeyBlobVersion = 1;

// A bucket-level key, shared by those who use it while the cache may already have dropped it.
using BucketKey = std::shared_ptr<const DataKey>;

// Bucket-level keys by name, each loaded once however many ask for it together, and for a bounded time and number of
// uses.
class KeyCache {
 public:
  explicit KeyCache(const Clock& clock) : clock_(clock) {}

  // The key of this name, if `serves` says true of it; what `load` answers, if it says false or there is none. No lock
  // is held across either call.
  Result<BucketKey> get(const std::string& name, const std::function<Result<bool>(const DataKey&)>& serves,
                        const std::function<Result<DataKey>()>& load) {
    std::unique_lock lock(mutex_);
    while (true) {
      auto& place = entries_[name];
      if (!place) place = std::make_shared<Entry>();
      const std::shared_ptr<Entry> entry = place;
      if (entry->loading) return wait_for(entry, lock);
      const BucketKey key = use(*entry);
      if (!key) return load_into(name, entry, lock, load);
      lock.unlock();
      COFFER_ASSIGN(const bool serving, serves(*key));
      if (serving) return key;
      lock.lock();
      if (entry->key == key) entry->key.reset();
    }
  }

  // Forgets the keys that `matches` accepts, and every key that is being loaded: which one that will be is not known
  // yet.
  void drop(const std::function<bool(const DataKey&)>& matches) {
    std::lock_guard lock(mutex_);
    std::erase_if(entries_, [&](const auto& named) {
      return named.second->loading || (named.second->key && matches(*named.second->key));
    });
  }

 private:
  struct Entry {
    bool loading = false;
    BucketKey key;               // nothing before it is loaded, and after a load that failed
    std::optional<Error> error;  // of the last load
    std::int64_t loaded_ns = 0;
    std::uint64_t uses = 0;
  };

  Result<BucketKey> load_into(const std::string& name, const std::shared_ptr<Entry>& entry,
                              std::unique_lock<std::mutex>& lock, const std::function<Result<DataKey>()>& load) {
    entry->loading = true;
    entry->key.reset();
    lock.unlock();
    auto loaded = load();
    lock.lock();
    return publish(name, entry, std::move(loaded));
  }

  bool over(const Entry& entry) const {
    return clock_.monotonic_ns() - entry.loaded_ns >= kBucketKeySecondsMax * 1'000'000'000 ||
           entry.uses >= kBucketKeyUsesMax;
  }

  // The entry's key once more, if its time and uses are not over.
  BucketKey use(Entry& entry) const {
    if (!entry.key || over(entry)) return nullptr;
    ++entry.uses;
    return entry.key;
  }

  // What another thread is loading, its error included: a KMS that is away is asked once, not once per waiting thread.
  Result<BucketKey> wait_for(const std::shared_ptr<Entry>& entry, std::unique_lock<std::mutex>& lock) {
    loaded_.wait(lock, [&] { return !entry->loading; });
    if (!entry->key) return *entry->error;
    ++entry->uses;
    return entry->key;
  }

  Result<BucketKey> publish(const std::string& name, const std::shared_ptr<Entry>& entry, Result<DataKey> loaded) {
    entry->loading = false;
    loaded_.notify_all();
    const auto place = entries_.find(name);
    const bool dropped = place == entries_.end() || place->second != entry;
    if (!loaded.ok()) {
      entry->error = loaded.error();
      if (!dropped) entries_.erase(place);
      return std::move(loaded).error();
    }
    entry->key = std::make_shared<const DataKey>(*std::move(loaded));
    entry->loaded_ns = clock_.monotonic_ns();
    entry->uses = 1;
    if (!dropped) make_room(name);
    return entry->key;
  }

  // Those whose time is over go, and then the oldest.
  void make_room(const std::string& kept) {
    std::erase_if(entries_, [&](const auto& named) {
      return !named.second->loading && named.first != kept && over(*named.second);
    });
    while (entries_.size() > kBucketKeysCached) {
      auto oldest = entries_.end();
      for (auto it = entries_.begin(); it != entries_.end(); ++it) {
        if (it->second->loading || it->first == kept) continue;
        if (oldest == entries_.end() || it->second->loaded_ns < oldest->second->loaded_ns) oldest = it;
      }
      if (oldest == entries_.end()) return;
      entries_.erase(oldest);
    }
  }

  const Clock& clock_;
  std::mutex mutex_;  // guards entries_ and all in them
  std::condition_variable loaded_;
  std::map<std::string, std::shared_ptr<Entry>> entries_;
};

std::string cache_name(BytesView what, const EncryptionContext& context, const Principal& principal) {
  WireWriter writer;
  writer.blob32(what).blob32(encode_context(context)).text16(principal.account.str()).text16(principal.arn);
  return std::string(as_text(writer.bytes()));
}

// A per-object key's wrap is bound to the context; to its object the envelope's commitment binds it.
Bytes wrap_aad(const EncryptionContext& context) {
  WireWriter writer;
  writer.raw(as_bytes("coffer/1/bucket-key-data-key")).raw(encode_context(context));
  return std::move(writer).take();
}

struct BucketKeyBlob {
  BytesView bucket_blob, wrapped;
};

std::optional<BucketKeyBlob> parse_bucket_key_blob(BytesView bytes) {
  WireReader reader(bytes);
  const std::uint8_t version = reader.u8();
  BucketKeyBlob blob;
  blob.bucket_blob = reader.blob16();
  blob.wrapped = reader.raw(kWrapSize);
  if (!reader.done() || version != kBucketKeyBlobVersion || blob.bucket_blob.empty()) return std::nullopt;
  return blob;
}

}  // namespace

struct BucketKeys::State {
  State(Kms& kms, const AeadSuite& ciphers, const Clock& clock)
      : behind(kms), suite(ciphers), writing(clock), reading(clock) {}

  // The bucket-level key that objects of this bucket are made under now.
  Result<BucketKey> for_writing(std::string_view key, const EncryptionContext& context, const Principal& principal) {
    const auto serves = [&](const DataKey& cached) -> Result<bool> {
      COFFER_TRY(behind.usable(cached.key_arn, context, principal));
      return behind.is_current(cached.blob, key, principal);
    };
    const auto generate = [&] { return behind.generate_data_key(key, context, principal); };
    return writing.get(cache_name(as_bytes(key), context, principal), serves, generate);
  }

  Result<Bytes> wrap(const DataKey& bucket_key, const EncryptionContext& context, const Key& object_key) const {
    COFFER_ASSIGN(const Bytes wrapped, wrap_key(suite, bucket_key.plaintext, wrap_aad(context), object_key));
    WireWriter blob;
    blob.u8(kBucketKeyBlobVersion).blob16(bucket_key.blob).raw(wrapped);
    return std::move(blob).take();
  }

  Kms& behind;
  const AeadSuite& suite;
  KeyCache writing;  // by the key as the rule names it
  KeyCache reading;  // by the hash of the bucket-level blob
};

BucketKeys::BucketKeys(Kms& behind, const AeadSuite& suite, const Clock& clock)
    : state_(std::make_unique<State>(behind, suite, clock)) {}

BucketKeys::~BucketKeys() = default;

Result<DataKey> BucketKeys::generate_data_key(std::string_view key, const EncryptionContext& context,
                                              const Principal& principal) {
  COFFER_TRY(check_context(context));
  COFFER_ASSIGN(const BucketKey bucket_key, state_->for_writing(key, context, principal));
  Key object_key = Key::random();
  COFFER_ASSIGN(Bytes blob, state_->wrap(*bucket_key, context, object_key));
  return DataKey{std::move(object_key), std::move(blob), bucket_key->key_arn};
}

Result<WrappedDataKey> BucketKeys::encrypt(std::string_view key, const Key& data_key, const EncryptionContext& context,
                                           const Principal& principal) {
  COFFER_TRY(check_context(context));
  COFFER_ASSIGN(const BucketKey bucket_key, state_->for_writing(key, context, principal));
  COFFER_ASSIGN(Bytes blob, state_->wrap(*bucket_key, context, data_key));
  return WrappedDataKey{std::move(blob), bucket_key->key_arn};
}

Result<Key> BucketKeys::decrypt(BytesView blob, const EncryptionContext& context, const Principal& principal) {
  COFFER_TRY(check_context(context));
  const auto parsed = parse_bucket_key_blob(blob);
  if (!parsed) return Error{Code::kInvalidCiphertext, ""};
  // What a Decrypt answers names no key, so a cached one is checked by usable() of whoever opens the object.
  const auto accept = [](const DataKey&) -> Result<bool> { return true; };
  const auto decrypt = [&]() -> Result<DataKey> {
    COFFER_ASSIGN(Key key, state_->behind.decrypt(parsed->bucket_blob, context, principal));
    return DataKey{std::move(key), {}, {}};
  };
  const std::string name = cache_name(sha384(parsed->bucket_blob), context, principal);
  COFFER_ASSIGN(const BucketKey bucket_key, state_->reading.get(name, accept, decrypt));
  auto object_key = unwrap_key(state_->suite, bucket_key->plaintext, wrap_aad(context), parsed->wrapped);
  if (!object_key.ok()) return Error{Code::kInvalidCiphertext, ""};
  return object_key;
}

Status BucketKeys::usable(std::string_view key_arn, const EncryptionContext& context,
                          const Principal& principal) const {
  return state_->behind.usable(key_arn, context, principal);
}

std::string BucketKeys::key_arn_of(BytesView blob) const {
  const auto parsed = parse_bucket_key_blob(blob);
  return parsed ? state_->behind.key_arn_of(parsed->bucket_blob) : "";
}

bool BucketKeys::is_current(BytesView blob, std::string_view key, const Principal& principal) const {
  const auto parsed = parse_bucket_key_blob(blob);
  return parsed && state_->behind.is_current(parsed->bucket_blob, key, principal);
}

void BucketKeys::flush(std::string_view key_arn) {
  state_->writing.drop([&](const DataKey& cached) { return cached.key_arn == key_arn; });
  state_->reading.drop([](const DataKey&) { return true; });  // they name no key; each costs one Decrypt to have back
}

}  // namespace coffer
