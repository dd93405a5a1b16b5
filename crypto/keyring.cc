#include "crypto/keyring.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "base/limits.h"
#include "base/wire.h"
#include "crypto/encryption_context.h"
#include "crypto/hkdf.h"

namespace coffer {
namespace {

// What a layer's two keys are derived with: a label, the object and the layer; the store is HKDF's salt.
Bytes layer_info(std::string_view label, std::uint64_t object, std::size_t layer) {
  WireWriter writer;
  writer.raw(as_bytes(label)).u64(object).u8(static_cast<std::uint8_t>(layer));
  return std::move(writer).take();
}

LayerKeys layer_keys(const Envelope& envelope, const Key& data_key, std::size_t layer) {
  LayerKeys keys{Key::zero(), Key::zero()};
  const Bytes chunk = layer_info("coffer/1/chunk", envelope.object, layer);
  const Bytes commit = layer_info("coffer/1/commit", envelope.object, layer);
  const Expansion expansions[] = {{chunk, keys.chunk.span()}, {commit, keys.committing.span()}};
  hkdf(Hash::kSha384, data_key.view(), envelope.store, expansions);
  return keys;
}

std::vector<LayerKeys> layer_keys(const Envelope& envelope, const std::vector<Key>& data_keys) {
  std::vector<LayerKeys> keys;
  for (std::size_t layer = 0; layer < data_keys.size(); ++layer)
    keys.push_back(layer_keys(envelope, data_keys[layer], layer));
  return keys;
}

// Of the data key to everything the envelope says, all commitments in it being zeros.
std::array<std::uint8_t, 32> commitment_of(BytesView uncommitted, const Key& committing, std::size_t layer) {
  Bytes message = to_bytes(uncommitted);
  message.push_back(static_cast<std::uint8_t>(layer));
  std::array<std::uint8_t, 32> commitment;
  hmac(Hash::kSha384, committing.view(), message, commitment);
  return commitment;
}

Bytes encode_uncommitted(Envelope envelope) {
  for (EnvelopeLayer& layer : envelope.layers) layer.commitment.fill(0);
  return envelope.encode();
}

// An SSE-S3 wrap is bound to the object, the envelope and the layer it was made for.
Bytes sse_s3_aad(const Envelope& envelope, std::size_t layer) {
  WireWriter writer;
  writer.raw(as_bytes("coffer/1/sse-s3-data-key")).raw(envelope.store).u64(envelope.object).u32(envelope.generation);
  writer.u8(static_cast<std::uint8_t>(layer));
  return std::move(writer).take();
}

EncryptionContext context_of(const Envelope& envelope) { return {{std::string(kContextArn), envelope.context_arn}}; }

Status check_context_arn(std::string_view arn) {
  if (arn.size() + kContextArn.size() <= kContextSizeMax) return {};
  return Error{Code::kNameTooLong, "the object's key does not fit an encryption context of 8 KiB"};
}

std::string_view kms_key_of(const SseRule& rule) {
  return rule.kms_key ? std::string_view(*rule.kms_key) : kAwsManagedAlias;
}

void append_kms_layer(Envelope& envelope, const SseRule& rule, Bytes blob, std::string key_arn) {
  EnvelopeLayer layer;
  layer.source = rule.uses_bucket_key() ? KeySource::kBucketKey : KeySource::kKms;
  layer.wrapped_key = std::move(blob);
  envelope.kms_key_arn = std::move(key_arn);
  envelope.layers.push_back(std::move(layer));
}

void commit(Envelope& envelope, const std::vector<LayerKeys>& keys) {
  const Bytes uncommitted = encode_uncommitted(envelope);
  for (std::size_t layer = 0; layer < keys.size(); ++layer)
    envelope.layers[layer].commitment = commitment_of(uncommitted, keys[layer].committing, layer);
}

std::shared_ptr<const Aead> cipher_under(const AeadSuite& suite, const std::vector<LayerKeys>& keys) {
  if (keys.size() == 1) return suite.single(keys[0].chunk);
  return suite.twice(keys[0].chunk, keys[1].chunk);
}

}  // namespace

std::string context_arn_of(const SseRule& rule, const Subject& subject) {
  if (rule.uses_bucket_key() || subject.bucket.is_directory_bucket()) return bucket_arn(subject.realm, subject.bucket);
  return object_arn(subject.bucket, subject.object_key);
}

Keyring::Keyring(const KeySchedule& keys, const AeadSuite& suite, Kms& kms, Kms& bucket_keys)
    : keys_(keys), suite_(suite), kms_(kms), bucket_keys_(bucket_keys), sse_s3_(keys.purpose_key(Purpose::kSseS3)) {}

Result<Keyring::Issued> Keyring::issue(const SseRule& rule, const Subject& subject, const Principal& principal) {
  COFFER_TRY(serves(rule.algorithm));
  Envelope envelope;
  envelope.store = store_id();
  envelope.object = subject.object;
  envelope.generation = subject.generation;
  envelope.chunk_size = subject.chunk_size;
  envelope.algorithm = rule.algorithm;
  envelope.context_arn = context_arn_of(rule, subject);
  COFFER_TRY(check_context_arn(envelope.context_arn));

  DataKeys data_keys;
  switch (rule.algorithm) {
    case SseAlgorithm::kAes256: COFFER_TRY(add_sse_s3_layer(envelope, data_keys)); break;
    case SseAlgorithm::kAwsKms: COFFER_TRY(add_kms_layer(rule, principal, envelope, data_keys)); break;
    case SseAlgorithm::kAwsKmsDsse:
      COFFER_TRY(add_kms_layer(rule, principal, envelope, data_keys));
      COFFER_TRY(add_sse_s3_layer(envelope, data_keys));
      break;
  }
  // Who may make a key and not use it could create objects, and lose what is written into them (BK-14).
  COFFER_TRY(usable(envelope, principal));
  const auto keys = layer_keys(envelope, data_keys);
  commit(envelope, keys);
  auto aead = cipher_under(suite_, keys);
  return Issued{std::move(envelope), std::move(aead)};
}

Result<Envelope> Keyring::rewrap(const Envelope& envelope, const SseRule& rule, std::string context_arn,
                                 const Principal& principal) {
  assert(rule.algorithm == envelope.algorithm);
  COFFER_TRY(check_context_arn(context_arn));
  COFFER_ASSIGN(const OpenedKeys opened, open_keys(envelope, principal));
  const DataKeys& data_keys = opened.data_keys;
  Envelope fresh = envelope;
  fresh.context_arn = std::move(context_arn);
  fresh.layers.clear();
  for (std::size_t layer = 0; layer < data_keys.size(); ++layer) {
    const bool by_sse_s3 = envelope.layers[layer].source == KeySource::kSseS3;
    COFFER_TRY(by_sse_s3 ? wrap_sse_s3_layer(fresh, data_keys[layer])
                         : wrap_kms_layer(rule, principal, fresh, data_keys[layer]));
  }
  commit(fresh, opened.layer_keys);
  return fresh;
}

Result<Envelope> Keyring::move_root(const Envelope& envelope, const KeySchedule& next,
                                    const Principal& principal) const {
  const auto by_sse_s3 = [](const EnvelopeLayer& layer) { return layer.source == KeySource::kSseS3; };
  if (std::none_of(envelope.layers.begin(), envelope.layers.end(), by_sse_s3)) return envelope;
  COFFER_ASSIGN(const OpenedKeys opened, open_keys(envelope, principal));
  const DataKeys& data_keys = opened.data_keys;
  const Key wrapping = next.purpose_key(Purpose::kSseS3);
  Envelope moved = envelope;
  for (std::size_t layer = 0; layer < data_keys.size(); ++layer) {
    if (!by_sse_s3(envelope.layers[layer])) continue;
    COFFER_ASSIGN(moved.layers[layer].wrapped_key,
                  wrap_key(suite_, wrapping, sse_s3_aad(moved, layer), data_keys[layer]));
  }
  commit(moved, opened.layer_keys);
  return moved;
}

bool Keyring::up_to_date(const Envelope& envelope, const SseRule& rule, const Principal& principal) const {
  if (envelope.algorithm != rule.algorithm) return false;
  if (rule.algorithm == SseAlgorithm::kAes256) return true;
  if (envelope.bucket_key() != rule.uses_bucket_key()) return false;
  return kms_for(rule).is_current(envelope.layers[0].wrapped_key, kms_key_of(rule), principal);
}

Result<std::shared_ptr<const Aead>> Keyring::unlock(const Envelope& envelope, const Principal& principal) {
  COFFER_ASSIGN(const OpenedKeys opened, open_keys(envelope, principal));
  return cipher_under(suite_, opened.layer_keys);
}

Result<Keyring::OpenedKeys> Keyring::open_keys(const Envelope& envelope, const Principal& principal) const {
  if (envelope.store != store_id()) return Error{Code::kDamaged, "an envelope is another store's"};
  DataKeys data_keys;
  for (std::size_t layer = 0; layer < envelope.layers.size(); ++layer) {
    auto data_key = data_key_of(envelope, layer, principal);
    // The blob comes from the store, not from whoever asks: for them the object is damaged.
    if (!data_key.ok() && data_key.code() == Code::kInvalidCiphertext)
      return Error{Code::kDamaged, "the wrapped data key of an object does not authenticate"};
    if (!data_key.ok()) return std::move(data_key).error();
    data_keys.push_back(*std::move(data_key));
  }
  const Bytes uncommitted = encode_uncommitted(envelope);
  auto keys = layer_keys(envelope, data_keys);
  bool committed = true;
  for (std::size_t layer = 0; layer < keys.size(); ++layer)
    committed &= equal_constant_time(commitment_of(uncommitted, keys[layer].committing, layer),
                                     envelope.layers[layer].commitment);
  if (!committed) return Error{Code::kDamaged, "an envelope is not what its data key was committed to"};
  COFFER_TRY(usable(envelope, principal));  // a Bucket Key in memory opens envelopes without asking the KMS
  return OpenedKeys{std::move(data_keys), std::move(keys)};
}

Status Keyring::usable(const Envelope& envelope, const Principal& principal) const {
  if (envelope.kms_key_arn.empty()) return {};
  return kms_.usable(envelope.kms_key_arn, context_of(envelope), principal);
}

Status Keyring::serves(SseAlgorithm algorithm) const {
  if (algorithm != SseAlgorithm::kAwsKmsDsse || suite_.can_double()) return {};
  return Error{Code::kUnsupported, "aws:kms:dsse needs two AES-256-GCM libraries, and one alone works on this machine"};
}

Status Keyring::add_sse_s3_layer(Envelope& envelope, DataKeys& data_keys) const {
  Key data_key = Key::random();
  COFFER_TRY(wrap_sse_s3_layer(envelope, data_key));
  data_keys.push_back(std::move(data_key));
  return {};
}

Status Keyring::wrap_sse_s3_layer(Envelope& envelope, const Key& data_key) const {
  EnvelopeLayer layer;
  layer.source = KeySource::kSseS3;
  COFFER_ASSIGN(layer.wrapped_key, wrap_key(suite_, sse_s3_, sse_s3_aad(envelope, envelope.layers.size()), data_key));
  envelope.layers.push_back(std::move(layer));
  return {};
}

Status Keyring::add_kms_layer(const SseRule& rule, const Principal& principal, Envelope& envelope,
                              DataKeys& data_keys) const {
  COFFER_ASSIGN(DataKey data_key, kms_for(rule).generate_data_key(kms_key_of(rule), context_of(envelope), principal));
  append_kms_layer(envelope, rule, std::move(data_key.blob), std::move(data_key.key_arn));
  data_keys.push_back(std::move(data_key.plaintext));
  return {};
}

Status Keyring::wrap_kms_layer(const SseRule& rule, const Principal& principal, Envelope& envelope,
                               const Key& data_key) const {
  COFFER_ASSIGN(WrappedDataKey wrapped,
                kms_for(rule).encrypt(kms_key_of(rule), data_key, context_of(envelope), principal));
  append_kms_layer(envelope, rule, std::move(wrapped.blob), std::move(wrapped.key_arn));
  return {};
}

Result<Key> Keyring::data_key_of(const Envelope& envelope, std::size_t layer, const Principal& principal) const {
  const EnvelopeLayer& sealed = envelope.layers[layer];
  switch (sealed.source) {
    case KeySource::kSseS3: return unwrap_key(suite_, sse_s3_, sse_s3_aad(envelope, layer), sealed.wrapped_key);
    case KeySource::kKms: return kms_.decrypt(sealed.wrapped_key, context_of(envelope), principal);
    case KeySource::kBucketKey: return bucket_keys_.decrypt(sealed.wrapped_key, context_of(envelope), principal);
  }
  return Error{Code::kDamaged, "an envelope names no key source"};
}

}  // namespace coffer
