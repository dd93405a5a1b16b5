#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "crypto/kms_transport.h"
#include "crypto/local_kms.h"

namespace coffer {

// The other end of a KmsTransport: a LocalKms that answers KMS's JSON, unless the next answer was scripted.
class ElsewhereKms final : public KmsTransport {
 public:
  ElsewhereKms(LocalKms& kms, Principal caller) : kms_(kms), caller_(std::move(caller)) {}

  using Step = std::function<Result<Answer>(const Request&, MutableBytes)>;
  void next(Step step) { script_.push_back(std::move(step)); }
  void next(int status, std::string body) {
    next([=](const Request&, MutableBytes into) { return say(status, body, into); });
  }
  void next_refusal(int status, const std::string& type, const std::string& message) {
    next(status, nlohmann::json{{"__type", type}, {"message", message}}.dump());
  }
  void next_silence(int times = 1) {
    for (int i = 0; i < times; ++i)
      next([](const Request&, MutableBytes) {
        return Error{Code::kKmsAway, "the external KMS does not answer: scripted"};
      });
  }
  // What it really answers, changed before it is sent.
  void next_changed(std::function<void(nlohmann::json&)> change) {
    next([this, change = std::move(change)](const Request& request, MutableBytes into) -> Result<Answer> {
      auto [status, body] = answer(request);
      change(body);
      return say(status, body.dump(), into);
    });
  }

  Result<Answer> post(const Request& request, MutableBytes into) override {
    operations.emplace_back(request.operation);
    regions.emplace_back(request.region);
    bodies.emplace_back(as_text(request.body));
    limits_ms.push_back(request.limit_ms);
    if (!script_.empty()) {
      const Step step = std::move(script_.front());
      script_.pop_front();
      return step(request, into);
    }
    const auto [status, body] = answer(request);
    return say(status, body.dump(), into);
  }

  std::vector<std::string> operations, regions, bodies;
  std::vector<std::int64_t> limits_ms;

 private:
  static Answer say(int status, const std::string& body, MutableBytes into) {
    std::copy(body.begin(), body.end(), into.data());
    return {status, body.size()};
  }

  static std::pair<int, nlohmann::json> refusal(const Error& error) {
    switch (error.code) {
      case Code::kKeyMissing: return {400, {{"__type", "NotFoundException"}, {"message", error.message}}};
      case Code::kKeyDisabled: return {400, {{"__type", "DisabledException"}, {"message", error.message}}};
      case Code::kKeyPendingDeletion:
      case Code::kKeyPendingImport: return {400, {{"__type", "KMSInvalidStateException"}, {"message", error.message}}};
      case Code::kInvalidCiphertext: return {400, {{"__type", "InvalidCiphertextException"}}};
      default: return {400, {{"__type", "ValidationException"}, {"message", error.message}}};
    }
  }

  std::pair<int, nlohmann::json> answer(const Request& request) {
    const auto input = nlohmann::json::parse(as_text(request.body));
    const std::string key = input.at("KeyId");
    const EncryptionContext context = input.at("EncryptionContext").get<EncryptionContext>();
    const KmsCall call{caller_};
    if (request.operation == "GenerateDataKey") {
      const auto made = kms_.generate_bytes(key, 32, context, call);
      if (!made.ok()) return refusal(made.error());
      return {200,
              {{"KeyId", made->key_arn},
               {"Plaintext", base64(made->plaintext.view())},
               {"CiphertextBlob", base64(made->blob)}}};
    }
    if (request.operation == "Encrypt") {
      const auto plaintext = unbase64(input.at("Plaintext").get<std::string>());
      const auto made = kms_.encrypt_bytes(key, *plaintext, context, call);
      if (!made.ok()) return refusal(made.error());
      return {200, {{"KeyId", made->key_arn}, {"CiphertextBlob", base64(made->blob)}}};
    }
    const auto opened =
        kms_.decrypt_bytes(*unbase64(input.at("CiphertextBlob").get<std::string>()), context, call, key);
    if (!opened.ok()) return refusal(opened.error());
    return {200,
            {{"KeyId", opened->key_arn},
             {"Plaintext", base64(opened->plaintext.view())},
             {"KeyMaterialId", opened->material_id}}};
  }

  LocalKms& kms_;
  const Principal caller_;
  std::deque<Step> script_;
};

}  // namespace coffer
