#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <functional>

#include "base/limits.h"
#include "base/sse_rule.h"

namespace coffer {
namespace {

constexpr const char* kVersion = "coffer " COFFER_VERSION;
constexpr const char* kKeyHelp = "key id, key ARN, alias/NAME or alias ARN";

// The tree of commands while it is built; a leaf that was chosen puts its options into `command`.
struct Tree {
  CLI::App root{"Coffer: an encrypted file system with S3's encryption contract", "coffer"};
  std::optional<Command> command;
};

CLI::App& add_group(CLI::App& parent, const char* name, const char* what) {
  CLI::App& group = *parent.add_subcommand(name, what);
  group.set_version_flag("--version", kVersion);
  group.require_subcommand(1);
  return group;
}

// A command whose options live as long as the tree.
template <class Options>
struct Leaf {
  CLI::App& app;
  std::shared_ptr<Options> options;
};

template <class Options>
Leaf<Options> add_leaf(Tree& tree, CLI::App& parent, const char* name, const char* what, Options defaults = {}) {
  CLI::App& app = *parent.add_subcommand(name, what);
  app.set_version_flag("--version", kVersion);
  auto options = std::make_shared<Options>(std::move(defaults));
  app.callback([&tree, options] { tree.command = *options; });
  return {app, options};
}

CLI::Option* add_needed(CLI::App& app, const char* name, std::string& into, const char* what) {
  return app.add_option(name, into, what)->required()->check([](const std::string& value) {
    return value.empty() ? std::string("must not be empty") : std::string();
  });
}

void add_json(CLI::App& app, bool& into) { app.add_flag("--json", into, "print one JSON document"); }

void add_unlock(CLI::App& app, UnlockFlags& into) {
  auto* passphrase =
      app.add_option("--passphrase-file", into.passphrase_file, "the passphrase is this file's first line");
  auto* key = app.add_option("--key-file", into.key_file, "the key is this file: 32 bytes, used whole");
  auto* recovery =
      app.add_option("--recovery-file", into.recovery_file, "the recovery key is written in this file");
  passphrase->excludes(key)->excludes(recovery);
  key->excludes(recovery);
}

void add_new_secrets(CLI::App& app, NewSecrets& into) {
  app.add_option("--new-passphrase-file", into.passphrase_file, "the new passphrase is this file's first line");
  app.add_option("--new-key-file", into.key_file, "the new key is this file, made if it is missing");
  app.add_flag("--recovery", into.recovery, "make a recovery key and print it, once");
}

void add_endpoint(CLI::App& app, EndpointChoice& into) {
  app.add_option("--socket", into.socket, "admin socket; else $COFFER_SOCKET, else your only mount's");
  app.add_option("--credentials", into.credentials, "access keys; else $COFFER_CREDENTIALS, else STORE/credentials");
}

// --- the commands, in the order the help lists them ---

void add_init(Tree& tree) {
  auto [app, options] = add_leaf<InitOptions>(tree, tree.root, "init", "make a store in an empty or new folder");
  add_needed(app, "STORE", options->store, "the store's folder");
  app.add_option("--account-id", options->account_id, "12 digits, in every ARN")->capture_default_str();
  app.add_option("--region", options->region, "in every KMS ARN")->capture_default_str();
  add_unlock(app, options->unlock);
}

void add_mount(Tree& tree) {
  auto [app, options] = add_leaf<MountOptions>(tree, tree.root, "mount", "mount a store; returns when DIR is usable");
  add_needed(app, "STORE", options->store, "the store's folder");
  add_needed(app, "DIR", options->dir, "where to mount it: an empty folder");
  app.add_flag("-f", options->foreground, "stay in the foreground and log to stderr");
  add_unlock(app, options->unlock);
  const auto pass_on = [&flags = options->daemon_flags, &daemon = app](const char* name, const char* flag,
                                                                       const char* type, const char* what) {
    return daemon
        .add_option_function<std::vector<std::string>>(
            name,
            [&flags, flag](const std::vector<std::string>& values) {
              for (const auto& value : values) flags.insert(flags.end(), {flag, value});
            },
            what)
        ->type_name(type)
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  };
  pass_on("-o", "-o", "OPT,OPT...", "mount options");
  pass_on("--admin-socket", "--admin-socket", "PATH", "the admin socket; else STORE/admin.sock");
  pass_on("--listen", "--listen", "127.0.0.1:PORT", "serve the admin socket on loopback TCP as well");
  pass_on("--min-commit", "--min-commit", "N", "refuse a store older than this commit counter");
  pass_on("--kms-endpoint", "--kms-endpoint", "URL", "an external KMS for keys that are not in the store: https://HOST");
  pass_on("--kms-credentials-file", "--kms-credentials-file", "F", "the access key for it; else AWS_ACCESS_KEY_ID and the rest");
  pass_on("--kms-ca-file", "--kms-ca-file", "F", "the authorities that its certificate is checked by");
}

void add_mounted(Tree& tree) {
  auto unmount = add_leaf<UnmountOptions>(tree, tree.root, "unmount", "unmount; returns when all is durable");
  add_needed(unmount.app, "DIR", unmount.options->dir, "the mount");
  auto sync = add_leaf<SyncOptions>(tree, tree.root, "sync", "make everything answered so far durable");
  add_needed(sync.app, "DIR", sync.options->dir, "the mount");
  auto status =
      add_leaf<StatusOptions>(tree, tree.root, "status", "your mounts: jobs, cache, commit counter and digest");
  status.app.add_option("DIR", status.options->dir, "this mount alone");
  add_endpoint(status.app, status.options->endpoint);
  add_json(status.app, status.options->json);
}

void add_bucket(Tree& tree) {
  CLI::App& group = add_group(tree.root, "bucket", "create, list and delete buckets");
  const auto add = [&](const char* name, BucketOptions::Verb verb, const char* what) {
    auto leaf = add_leaf<BucketOptions>(tree, group, name, what);
    leaf.options->verb = verb;
    add_endpoint(leaf.app, leaf.options->endpoint);
    if (verb == BucketOptions::Verb::kList) add_json(leaf.app, leaf.options->json);
    if (verb != BucketOptions::Verb::kList) add_needed(leaf.app, "BUCKET", leaf.options->bucket, "the bucket's name");
  };
  add("create", BucketOptions::Verb::kCreate, "make a bucket, as mkdir at the root of the mount does");
  add("list", BucketOptions::Verb::kList, "name all buckets");
  add("delete", BucketOptions::Verb::kDelete, "remove an empty bucket, as rmdir does");
}

void add_encryption_put(Tree& tree, CLI::App& group) {
  auto [app, options] = add_leaf<EncryptionOptions>(tree, group, "put", "set what new objects are sealed under");
  options->verb = EncryptionOptions::Verb::kPut;
  add_needed(app, "BUCKET", options->bucket, "the bucket's name");
  auto* file = app.add_option("FILE.xml", options->file, "S3's ServerSideEncryptionConfiguration; - is standard input");
  auto* sse = app.add_option("--sse", options->sse, "AES256, aws:kms or aws:kms:dsse")->excludes(file);
  sse->check([](const std::string& value) {
    return parse_sse(value) ? std::string() : "'" + value + "' is none of AES256, aws:kms, aws:kms:dsse";
  });
  app.add_option("--key", options->key, std::string(kKeyHelp) + "; else alias/aws/s3")->needs(sse);
  app.add_flag("--bucket-key", options->bucket_key, "one bucket-level key for many objects")->needs(sse);
  add_endpoint(app, options->endpoint);
  app.callback([&tree, chosen = options] {
    if (!chosen->file && !chosen->sse) throw CLI::ValidationError("FILE.xml or --sse is required");
    tree.command = *chosen;
  });
}

void add_encryption(Tree& tree) {
  CLI::App& group = add_group(tree.root, "encryption", "a bucket's default encryption");
  add_encryption_put(tree, group);
  const auto add = [&](const char* name, EncryptionOptions::Verb verb, const char* what) {
    auto leaf = add_leaf<EncryptionOptions>(tree, group, name, what);
    leaf.options->verb = verb;
    add_needed(leaf.app, "BUCKET", leaf.options->bucket, "the bucket's name");
    add_endpoint(leaf.app, leaf.options->endpoint);
    if (verb == EncryptionOptions::Verb::kGet) add_json(leaf.app, leaf.options->json);
  };
  add("get", EncryptionOptions::Verb::kGet, "print it as S3's XML");
  add("delete", EncryptionOptions::Verb::kDelete, "go back to AES256");
}

Leaf<KmsOptions> add_kms_leaf(Tree& tree, CLI::App& group, const char* name, KmsOptions::Verb verb, const char* what) {
  auto leaf = add_leaf<KmsOptions>(tree, group, name, what);
  leaf.options->verb = verb;
  add_endpoint(leaf.app, leaf.options->endpoint);
  add_json(leaf.app, leaf.options->json);
  return leaf;
}

Leaf<AccessOptions> add_access_leaf(Tree& tree, CLI::App& group, const char* name, AccessOptions::Verb verb,
                                    const char* what) {
  auto leaf = add_leaf<AccessOptions>(tree, group, name, what);
  leaf.options->verb = verb;
  leaf.app.add_option("--account", leaf.options->account, "the user's account; else that of whoever asks");
  add_endpoint(leaf.app, leaf.options->endpoint);
  add_json(leaf.app, leaf.options->json);
  return leaf;
}

void add_user(Tree& tree) {
  using Verb = AccessOptions::Verb;
  CLI::App& group = add_group(tree.root, "user", "who may call, and their access keys");
  const auto add_on_user = [&](const char* name, Verb verb, const char* what) {
    auto leaf = add_access_leaf(tree, group, name, verb, what);
    add_needed(leaf.app, "USER", leaf.options->user, "the user's name; root is the account itself");
    return leaf;
  };
  add_on_user("create", Verb::kCreateUser, "make a user, and print an access key: its secret is shown this once");
  add_access_leaf(tree, group, "list", Verb::kListUsers, "the users of an account");
  add_on_user("delete", Verb::kDeleteUser, "delete a user with all access keys and policies");
  add_on_user("create-key", Verb::kCreateKey, "print another access key: its secret is shown this once");
  add_on_user("list-keys", Verb::kListKeys, "the ids of a user's access keys");
  auto drop = add_on_user("delete-key", Verb::kDeleteKey, "end an access key");
  add_needed(drop.app, "ID", drop.options->access_key, "the access key's id");
}

void add_policy(Tree& tree) {
  using Verb = AccessOptions::Verb;
  CLI::App& group = add_group(tree.root, "policy", "what users may do, and who may use a bucket");
  const auto add = [&](const char* name, Verb verb, const char* what) {
    auto leaf = add_access_leaf(tree, group, name, verb, what);
    auto* user = leaf.app.add_option("--user", leaf.options->user, "of this user");
    if (verb == Verb::kListPolicies) {
      user->required();
      return leaf;
    }
    leaf.app.add_option("--bucket", leaf.options->bucket, "of this bucket")->excludes(user);
    leaf.app.add_option("--name", leaf.options->policy, "the name of the user's policy")->capture_default_str();
    return leaf;
  };
  auto put = add("put", Verb::kPutPolicy, "give a user or a bucket a policy");
  add_needed(put.app, "FILE", put.options->file, "the policy, as JSON");
  add("get", Verb::kGetPolicy, "print a policy");
  add("list", Verb::kListPolicies, "the names of a user's policies");
  add("delete", Verb::kDeletePolicy, "take a policy away");
}

void add_kms(Tree& tree) {
  using Verb = KmsOptions::Verb;
  CLI::App& group = add_group(tree.root, "kms", "the keys");
  auto create = add_kms_leaf(tree, group, "create-key", Verb::kCreateKey, "make a key and print its ARN");
  create.app.add_option("--description", create.options->description, "what the key is for");
  create.app.add_flag("--external", create.options->external, "without material: import-key-material brings it");
  create.app.add_option("--tag", create.options->tags, "NAME=VALUE, as often as needed");
  add_kms_leaf(tree, group, "list-keys", Verb::kListKeys, "the ARNs of all keys");
  add_kms_leaf(tree, group, "list-aliases", Verb::kListAliases, "all aliases and the keys behind them");
  add_kms_leaf(tree, group, "stats", Verb::kStats, "calls of the KMS since the store was made");
  const auto add_on_key = [&](const char* name, Verb verb, const char* what) {
    auto leaf = add_kms_leaf(tree, group, name, verb, what);
    add_needed(leaf.app, "KEY", leaf.options->key, kKeyHelp);
    return leaf;
  };
  add_on_key("describe-key", Verb::kDescribeKey, "a key's state and dates");
  add_on_key("enable-key", Verb::kEnableKey, "let a disabled key serve again");
  add_on_key("disable-key", Verb::kDisableKey, "no object under the key can be read once this returns");
  add_on_key("rotate-key", Verb::kRotateKey, "add new key material; old objects stay readable");
  auto turning = add_on_key("enable-key-rotation", Verb::kEnableKeyRotation, "rotate a key by itself from now on");
  turning.app.add_option("--period", turning.options->period, "days between two rotations")
      ->check(CLI::Range(90, 2560))
      ->capture_default_str();
  add_on_key("disable-key-rotation", Verb::kDisableKeyRotation, "rotate a key only when asked");
  add_on_key("get-key-rotation-status", Verb::kGetKeyRotationStatus, "whether and when a key rotates by itself");
  add_on_key("list-key-rotations", Verb::kListKeyRotations, "the versions of a key's material");
  auto describe = add_on_key("update-key-description", Verb::kUpdateKeyDescription, "say what a key is for");
  describe.app.add_option("TEXT", describe.options->description, "the new description")->required();
  auto tag = add_on_key("tag-resource", Verb::kTagResource, "put tags on a key");
  tag.app.add_option("NAME=VALUE", tag.options->tags, "the tags")->required();
  auto untag = add_on_key("untag-resource", Verb::kUntagResource, "take tags from a key");
  untag.app.add_option("NAME", untag.options->tags, "the tags' names")->required();
  add_on_key("list-resource-tags", Verb::kListResourceTags, "the tags of a key");
  auto import = add_on_key("import-key-material", Verb::kImportKeyMaterial, "bring a key's 32 bytes of material");
  add_needed(import.app, "FILE", import.options->file, "32 raw bytes; keep it: KMS gives material back to nobody");
  import.app.add_option("--days", import.options->valid_days, "the material expires after so many days; else never")
      ->check(CLI::Range(1, 365));
  add_on_key("delete-imported-key-material", Verb::kDeleteImportedKeyMaterial,
             "objects under the key can be read again once the same material is imported");
  auto schedule = add_on_key("schedule-key-deletion", Verb::kScheduleKeyDeletion, "disable now, delete for ever later");
  schedule.app.add_option("--days", schedule.options->days, "until the deletion")
      ->check(CLI::Range(7, 30))
      ->capture_default_str();
  add_on_key("cancel-key-deletion", Verb::kCancelKeyDeletion, "keep a key that was to be deleted");
  add_on_key("get-key-policy", Verb::kGetKeyPolicy, "who may use a key, as JSON");
  auto policy = add_on_key("put-key-policy", Verb::kPutKeyPolicy, "say who may use a key");
  add_needed(policy.app, "FILE", policy.options->file, "the policy, as JSON");
  add_on_key("list-grants", Verb::kListGrants, "whom a key is granted to beyond its policy");
  auto alias = add_kms_leaf(tree, group, "create-alias", Verb::kCreateAlias, "give a key a name");
  add_needed(alias.app, "ALIAS", alias.options->alias, "alias/NAME");
  add_needed(alias.app, "KEY", alias.options->key, "key id or key ARN");
  auto aim = add_kms_leaf(tree, group, "update-alias", Verb::kUpdateAlias, "give an alias another key");
  add_needed(aim.app, "ALIAS", aim.options->alias, "alias/NAME");
  add_needed(aim.app, "KEY", aim.options->key, "key id or key ARN");
  auto drop = add_kms_leaf(tree, group, "delete-alias", Verb::kDeleteAlias, "take a name from a key, which stays");
  add_needed(drop.app, "ALIAS", drop.options->alias, "alias/NAME");
  auto check = add_kms_leaf(tree, group, "check-bucket", Verb::kCheckBucket, "whether a bucket's key serves");
  add_needed(check.app, "BUCKET", check.options->bucket, "the bucket's name");
}

void add_inspect(Tree& tree) {
  auto [app, options] =
      add_leaf<InspectOptions>(tree, tree.root, "inspect", "an object's envelope, mounted or offline");
  add_needed(app, "PATH|STORE", options->place, "a file in a mount; or a store, with BUCKET/KEY");
  app.add_option("BUCKET/KEY", options->object, "the object in the store");
  add_unlock(app, options->unlock);
  add_endpoint(app, options->endpoint);
  add_json(app, options->json);
}

void add_offline(Tree& tree) {
  auto cat = add_leaf<CatOptions>(tree, tree.root, "cat", "decrypt one object without a mount");
  add_needed(cat.app, "STORE", cat.options->store, "the store's folder");
  add_needed(cat.app, "BUCKET/KEY", cat.options->object, "the object");
  add_unlock(cat.app, cat.options->unlock);
  auto fsck = add_leaf<FsckOptions>(tree, tree.root, "fsck", "read and authenticate everything of an unmounted store");
  add_needed(fsck.app, "STORE", fsck.options->store, "the store's folder");
  fsck.app.add_flag("--repair", fsck.options->repair, "mend what can be mended, move damaged objects to lost+found");
  add_unlock(fsck.app, fsck.options->unlock);
  add_json(fsck.app, fsck.options->json);
}

void add_reseal(Tree& tree) {
  auto [app, options] = add_leaf<ResealOptions>(tree, tree.root, "reseal", "bring objects under the bucket's default");
  add_needed(app, "DIR/BUCKET[/PREFIX]", options->place, "the objects, by a path in the mount");
  app.add_flag("--data", options->data, "seal the data of all of them under new data keys");
  add_endpoint(app, options->endpoint);
  add_json(app, options->json);
}

void add_scrub(Tree& tree) {
  auto [app, options] = add_leaf<ScrubOptions>(tree, tree.root, "scrub", "read and authenticate everything, mounted");
  add_needed(app, "DIR", options->dir, "the mount");
  app.add_option("--rate", options->rate_mib, "MiB a second to read at most; 64 where none is said")
      ->check(CLI::Range(1, static_cast<int>(kScrubMibMax)));
  app.add_flag("--restart", options->restart, "begin anew, and do not go on where an earlier one was");
  add_endpoint(app, options->endpoint);
  add_json(app, options->json);
}

void add_audit(Tree& tree) {
  using Verb = AuditOptions::Verb;
  CLI::App& group = add_group(tree.root, "audit", "the record of each S3 and KMS call");
  const auto add = [&](const char* name, Verb verb, const char* what) {
    auto leaf = add_leaf<AuditOptions>(tree, group, name, what);
    leaf.options->verb = verb;
    leaf.app.add_option("STORE", leaf.options->store, "an unmounted store; else the daemon of a mount is asked");
    if (verb != Verb::kVerify) {
      leaf.app.add_option("--last", leaf.options->last, "the last records alone, so many");
      leaf.app.add_flag("--follow", leaf.options->follow, "go on with each new record")->excludes("STORE");
    }
    add_unlock(leaf.app, leaf.options->unlock);
    add_endpoint(leaf.app, leaf.options->endpoint);
    add_json(leaf.app, leaf.options->json);
    if (verb != Verb::kVerify) leaf.app.get_option("--json")->excludes("--follow");
  };
  add("show", Verb::kShow, "a line for each, oldest first");
  add("export", Verb::kExport, "CloudTrail's JSON, one record a line");
  add("verify", Verb::kVerify, "that no record was changed, moved or removed");
}

void add_unlock_commands(Tree& tree) {
  CLI::App& group = add_group(tree.root, "unlock", "the ways to open a store");
  auto [app, options] = add_leaf<UnlockListOptions>(tree, group, "list", "the unlock slots");
  add_needed(app, "STORE", options->store, "the store's folder");
  add_unlock(app, options->unlock);
  add_json(app, options->json);

  auto add = add_leaf<UnlockAddOptions>(tree, group, "add", "one more way to open it; mounted or not");
  add_needed(add.app, "STORE", add.options->store, "the store's folder");
  add_unlock(add.app, add.options->unlock);
  add_new_secrets(add.app, add.options->secrets);
  add.app.get_option("--recovery")->excludes("--new-passphrase-file")->excludes("--new-key-file");
  add.app.get_option("--new-key-file")->excludes("--new-passphrase-file");
  auto rekey = add_leaf<UnlockRekeyOptions>(
      tree, group, "rekey", "another root key, after a secret became known; the new secrets alone open it then");
  add_needed(rekey.app, "STORE", rekey.options->store, "the store's folder, unmounted");
  add_unlock(rekey.app, rekey.options->unlock);
  add_new_secrets(rekey.app, rekey.options->secrets);
  auto remove = add_leaf<UnlockRemoveOptions>(tree, group, "remove", "one way less; never the last; mounted or not");
  add_needed(remove.app, "STORE", remove.options->store, "the store's folder");
  add_needed(remove.app, "SLOT", remove.options->slot, "its id: `coffer unlock list` shows it");
  add_unlock(remove.app, remove.options->unlock);
}

void build(Tree& tree) {
  tree.root.set_version_flag("--version", kVersion);
  tree.root.require_subcommand(1);
  tree.root.footer(
      "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 damage found, 4 key unavailable or denied, 5 not found.");
  add_init(tree);
  add_mount(tree);
  add_mounted(tree);
  add_bucket(tree);
  add_encryption(tree);
  add_kms(tree);
  add_user(tree);
  add_policy(tree);
  add_inspect(tree);
  add_offline(tree);
  add_reseal(tree);
  add_scrub(tree);
  add_audit(tree);
  add_unlock_commands(tree);
}

// The deepest command that was named, for the help of exactly that one.
const CLI::App& named(const CLI::App& app) {
  const auto below = app.get_subcommands();
  return below.empty() ? app : named(*below.front());
}

std::string path_of(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name() : path_of(*app.get_parent()) + " " + app.get_name();
}

std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

// CLI11 asks for a subcommand where it was given one that does not exist.
std::string complaint(const CLI::App& asked, const CLI::ParseError& error) {
  const auto unknown = asked.remaining();
  const bool is_group = asked.get_require_subcommand_min() > 0;
  if (is_group && !unknown.empty()) return one_line("there is no command '" + unknown.front() + "'");
  return one_line(error.what());
}

}  // namespace

Result<Command> parse_command_line(const std::vector<std::string>& arguments) {
  Tree tree;
  build(tree);
  try {
    tree.root.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForVersion&) {
    return Command(HelpOptions{std::string(kVersion) + "\n"});
  } catch (const CLI::CallForHelp&) {
    return Command(HelpOptions{tree.root.help() + "\n"});
  } catch (const CLI::ParseError& error) {
    const CLI::App& asked = named(tree.root);
    return Error{Code::kInvalidArgument, complaint(asked, error) + ": see `" + path_of(asked) + " --help`"};
  }
  return *tree.command;
}

}  // namespace coffer
