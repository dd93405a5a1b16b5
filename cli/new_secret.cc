#include "cli/new_secret.h"

#include "cli/new_file.h"
#include "crypto/recovery_key.h"
#include "store/unlock_source.h"

namespace coffer {
namespace {

Result<UnlockSecret> key_in(const std::string& path) {
  if (name_taken(path)) return read_key_file(path);
  Key key = Key::random();
  COFFER_TRY(write_new_file(path, key.view()));
  return UnlockSecret(KeyFile{std::move(key)});
}

}  // namespace

Result<std::vector<NewSecret>> new_secrets(const std::string& store, const NewSecrets& flags) {
  std::vector<NewSecret> secrets;
  if (flags.passphrase_file) {
    COFFER_ASSIGN(UnlockSecret passphrase, read_passphrase_file(*flags.passphrase_file));
    secrets.push_back({std::move(passphrase), SlotKind::kPassphrase});
  }
  if (flags.key_file) {
    COFFER_ASSIGN(UnlockSecret key, key_in(*flags.key_file));
    secrets.push_back({std::move(key), SlotKind::kKeyFile});
  }
  if (flags.recovery) secrets.push_back({KeyFile{Key::random()}, SlotKind::kRecovery});
  if (!secrets.empty()) return secrets;
  COFFER_ASSIGN(UnlockSecret passphrase, ask_new_passphrase(store));
  secrets.push_back({std::move(passphrase), SlotKind::kPassphrase});
  return secrets;
}

void show_recovery_key(const NewSecret& secret, Console& console) {
  const SecretBytes text = recovery_text(std::get<KeyFile>(secret.secret).key);
  console.out << as_text(text.view()) << std::endl;
  console.err << "coffer: this recovery key is shown once: write it down and keep it apart from the store; "
              << "--recovery-file, or the prompt for a passphrase, takes it back\n";
}

}  // namespace coffer
