#pragma once

#include <cstddef>
#include <cstdint>

// Limits of the audit trail's makers; those of its files are in base/limits.h.
namespace coffer {

// Refused requests whose signature nobody made, by the minute: whoever reaches the socket may send them, and may not
// push a trail's history out of it. The rest is counted in the next one.
inline constexpr std::uint64_t kAuditStrangersPerMinute = 60;
// Records of the mount's own KMS calls that wait for the next write; beyond it their maker writes them.
inline constexpr std::size_t kAuditWaiting = 512;
// Of a text that a client chose: KMS's descriptions are the longest ones worth having whole.
inline constexpr std::size_t kAuditTextMax = 2048;
// Of a policy as JSON writes its text: with the longest user agent it fits a record. One that is longer so stands as the
// JSON it is, which is never longer than its text: who let whom in is always told whole.
inline constexpr std::size_t kAuditPolicyMax = 40 * 1024;
inline constexpr std::size_t kAuditContextMax = 16 * 1024;  // an encryption context: 8 KiB, and twice that escaped
inline constexpr std::int64_t kAuditFollowMs = 300;         // between two looks of audit show --follow

// Files of 16 MiB that -o audit-files= may keep.
inline constexpr std::uint64_t kAuditFilesMin = 2, kAuditFilesMax = 1'000'000;

}  // namespace coffer
