#include "store/catalog_state.h"

// docs/FORMAT.md, "Catalog tables", says what each column means.
namespace coffer {

Status make_tables(Statements& statements) {
  return statements.script(R"sql(
CREATE TABLE meta(name TEXT NOT NULL PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE inodes(
  ino INTEGER PRIMARY KEY, kind INTEGER NOT NULL, mode INTEGER NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL,
  nlink INTEGER NOT NULL, size INTEGER NOT NULL, allocated INTEGER NOT NULL, rdev INTEGER NOT NULL,
  atime INTEGER NOT NULL, mtime INTEGER NOT NULL, ctime INTEGER NOT NULL,
  bucket INTEGER NOT NULL, parent INTEGER NOT NULL) STRICT;
CREATE INDEX inodes_unlinked ON inodes(nlink) WHERE nlink = 0;

CREATE TABLE names(
  parent INTEGER NOT NULL, hash INTEGER NOT NULL, name BLOB NOT NULL, ino INTEGER NOT NULL, kind INTEGER NOT NULL,
  PRIMARY KEY(parent, hash, name)) STRICT, WITHOUT ROWID;

CREATE TABLE symlinks(ino INTEGER PRIMARY KEY, target BLOB NOT NULL) STRICT;

CREATE TABLE xattrs(
  ino INTEGER NOT NULL, name BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY(ino, name)) STRICT, WITHOUT ROWID;

CREATE TABLE contents(
  ino INTEGER PRIMARY KEY, rule_version INTEGER NOT NULL, next_rule_version INTEGER NOT NULL,
  leased INTEGER NOT NULL, next_leased INTEGER NOT NULL, file INTEGER NOT NULL,
  envelope BLOB NOT NULL, next_envelope BLOB, inline BLOB) STRICT;
CREATE INDEX contents_file ON contents(file) WHERE file <> 0;

CREATE TABLE maps(id INTEGER PRIMARY KEY, slots BLOB NOT NULL) STRICT;

CREATE TABLE garbage(file INTEGER PRIMARY KEY) STRICT;

CREATE TABLE buckets(
  ino INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, created INTEGER NOT NULL,
  algorithm TEXT NOT NULL, kms_key TEXT, bucket_key INTEGER NOT NULL, blocked BLOB NOT NULL,
  rule_version INTEGER NOT NULL, pinned_key TEXT) STRICT;

CREATE TABLE reseal(
  ino INTEGER PRIMARY KEY, place INTEGER NOT NULL UNIQUE, leaving INTEGER NOT NULL) STRICT;

CREATE TABLE kms_keys(
  key_id TEXT NOT NULL PRIMARY KEY, arn TEXT NOT NULL, account TEXT NOT NULL, description TEXT NOT NULL,
  state INTEGER NOT NULL, manager INTEGER NOT NULL, origin INTEGER NOT NULL, created INTEGER NOT NULL,
  deletion INTEGER, current_material TEXT NOT NULL, expires INTEGER, rotation_days INTEGER, next_rotation INTEGER)
  STRICT, WITHOUT ROWID;
CREATE TABLE kms_materials(
  key_id TEXT NOT NULL, position INTEGER NOT NULL, material_id TEXT NOT NULL, created INTEGER NOT NULL,
  rotation INTEGER NOT NULL, wrapped BLOB NOT NULL, mark BLOB NOT NULL, PRIMARY KEY(key_id, position)) STRICT, WITHOUT ROWID;
CREATE TABLE kms_tags(
  key_id TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(key_id, name)) STRICT, WITHOUT ROWID;
CREATE TABLE kms_aliases(
  account TEXT NOT NULL, name TEXT NOT NULL, key_id TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL,
  PRIMARY KEY(account, name)) STRICT, WITHOUT ROWID;
CREATE TABLE kms_calls(operation TEXT NOT NULL PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;
)sql");
}

}  // namespace coffer
