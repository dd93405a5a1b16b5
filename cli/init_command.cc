#include <unistd.h>

#include <filesystem>

#include "base/exit_code.h"
#include "cli/access_key.h"
#include "cli/commands.h"
#include "cli/new_file.h"
#include "store/store_folder.h"

namespace coffer {
namespace {

// What init makes, taken back unless keep() is called: a store without its key would be a trap.
class HalfMade {
 public:
  explicit HalfMade(const std::string& store) : store_(store), folder_was_there_(name_taken(store)) {}
  ~HalfMade() {
    std::error_code ignored;  // the error that brought us here is the one to tell
    if (store_made_) {
      for (const auto& entry : std::filesystem::directory_iterator(store_, ignored)) {
        std::filesystem::remove_all(entry.path(), ignored);
      }
      if (!folder_was_there_) std::filesystem::remove(store_, ignored);
    }
    if (!key_file_.empty()) ::unlink(key_file_.c_str());
  }
  HalfMade(const HalfMade&) = delete;
  HalfMade& operator=(const HalfMade&) = delete;

  void add_store() { store_made_ = true; }
  void add_key_file(const std::string& path) { key_file_ = path; }
  void keep() {
    store_made_ = false;
    key_file_.clear();
  }

 private:
  std::string store_, key_file_;
  bool folder_was_there_, store_made_ = false;
};

// From the flags; a key file that is missing is made.
Result<UnlockSecret> secret_for(const InitOptions& options, HalfMade& made) {
  if (options.unlock.passphrase_file) return read_passphrase_file(*options.unlock.passphrase_file);
  if (!options.unlock.key_file) return UnlockSecret(KeyFile{Key::random()});
  const std::string& path = *options.unlock.key_file;
  if (name_taken(path)) return read_key_file(path);
  Key key = Key::random();
  COFFER_TRY(write_new_file(path, key.view()));
  made.add_key_file(path);
  return UnlockSecret(KeyFile{std::move(key)});
}

Status create_store(const InitOptions& options, const UnlockSecret& secret, const Realm& realm) {
  const Status created = StoreFolder::create(options.store, secret, realm);
  if (!created.ok() && created.code() == Code::kNotEmpty) {
    return Error{Code::kInvalidArgument, options.store + " is not empty: name a new or empty folder"};
  }
  return created;
}

}  // namespace

Result<int> run_command(const InitOptions& options, Console& console) {
  COFFER_ASSIGN(const AccountId account, AccountId::parse(options.account_id));
  COFFER_ASSIGN(const Region region, Region::parse(options.region));
  const Realm realm{account, region};
  HalfMade made(options.store);
  COFFER_ASSIGN(const UnlockSecret secret, secret_for(options, made));
  COFFER_TRY(create_store(options, secret, realm));
  made.add_store();

  const bool key_in_store = !options.unlock.passphrase_file && !options.unlock.key_file;
  const std::string key_path = options.store + "/unlock.key";
  if (key_in_store) COFFER_TRY(write_new_file(key_path, std::get<KeyFile>(secret).key.view()));
  COFFER_TRY(write_signing_key(options.store, realm));
  made.keep();
  if (key_in_store) {
    console.err << "coffer: warning: the key is in " << key_path << ": whoever has this folder has the data; "
                << "use --passphrase-file or --key-file to keep them apart\n";
  }
  return kExitDone;
}

}  // namespace coffer
