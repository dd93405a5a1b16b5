#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace coffer {

// What went wrong, in the words the callers' tables translate from: the FUSE shell to errno, the
// admin room to S3 and KMS codes, the programs to exit codes. A switch on Code has no default.
enum class Code {
  kInvalidArgument,     // the caller's value cannot mean anything
  kInvalidBucketName,   // not a name S3 would accept
  kInvalidAliasName,    // not a name KMS would accept for an alias
  kNotFound,            // no such object, name or inode
  kNoSuchBucket,
  kExists,
  kNotEmpty,
  kNotDirectory,
  kIsDirectory,
  kNameTooLong,
  kFileTooLarge,
  kTooManyLinks,
  kNoSpace,
  kIo,                  // the disk below refused
  kNotPermitted,        // EPERM: the operation is never allowed here
  kAccessDenied,        // EACCES: this caller may not
  kCrossesBuckets,      // EXDEV
  kReadOnly,
  kBusy,
  kNoAttribute,         // ENODATA
  kOutOfRange,          // a buffer of the caller is too small, ERANGE
  kUnsupported,
  kDamaged,             // stored bytes did not authenticate, or contradict each other
  kKeyMissing,          // the KMS does not know the key
  kKeyDisabled,
  kKeyPendingDeletion,
  kKeyPendingImport,    // a key whose imported material is not there (yet, or any more)
  kKeyDenied,           // a policy forbids this principal the key
  kKeyPinned,           // the bucket has another key for life
  kKeyState,            // the key's state forbids the operation (cancel deletion of a live key ...)
  kInvalidCiphertext,   // a KMS blob that is damaged, or was made under another context
  kWrongKeyUsage,       // a key that is not for encryption, or an algorithm that is not the key's
  kIncorrectKey,        // a KMS blob made by another key than the one named
  kWrongMaterial,       // not the key material that was imported into the key before
  kInvalidImportToken,
  kExpiredImportToken,
  kInvalidTag,          // a tag, or a list of tags, that KMS does not allow
  kDryRun,              // it would have been done, and was not asked for
  kKmsAway,             // an external KMS does not answer
  kWrongUnlock,         // no unlock slot opens with what was given
  kNoUnlock,            // nothing to unlock with was given
  kNoStore,             // the folder holds no store
  kInUse,               // another process has the store
  kTooOld,              // the store is older than the caller demands
  kPoisoned,            // an earlier failure left the store unable to promise anything
  kLimit,               // a limit of base/limits.h
};

std::string_view code_name(Code code);

// A failure as a value: a Code for the program, a sentence for the person (no secrets, no object names).
struct Error {
  Code code;
  std::string message;
};

// Either a T or the Error that prevented it.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    assert(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    assert(ok());
    return std::get<0>(state_);
  }
  T&& value() && {
    assert(ok());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& {
    assert(!ok());
    return std::get<1>(state_);
  }
  Error&& error() && {
    assert(!ok());
    return std::get<1>(std::move(state_));
  }
  Code code() const { return error().code; }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const& {
    assert(!ok());
    return *error_;
  }
  Error&& error() && {
    assert(!ok());
    return *std::move(error_);
  }
  Code code() const { return error().code; }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace coffer

// Leaves the function with the error of `expression`, if it has one.
#define COFFER_TRY(expression)                                         \
  do {                                                                 \
    if (auto coffer_try_ = (expression); !coffer_try_.ok())            \
      return std::move(coffer_try_).error();                           \
  } while (false)

#define COFFER_CONCAT_INNER(a, b) a##b
#define COFFER_CONCAT(a, b) COFFER_CONCAT_INNER(a, b)
// COFFER_ASSIGN(auto x, f()): x takes the value of f(), or the function leaves with its error.
#define COFFER_ASSIGN(target, expression) \
  COFFER_ASSIGN_INNER(COFFER_CONCAT(coffer_result_, __LINE__), target, expression)
#define COFFER_ASSIGN_INNER(result, target, expression) \
  auto result = (expression);                           \
  if (!result.ok()) return std::move(result).error();   \
  target = *std::move(result)
