#pragma once

#include <memory>
#include <optional>
#include <string>

#include "crypto/kms_transport.h"
#include "daemon/kms_credentials.h"

namespace coffer {

// An external KMS over libcurl, which signs (SigV4, service kms) and verifies the server's certificate. Nothing is
// followed: no redirection, no .netrc. Connections are kept. What curl had of a request or an answer is wiped when it
// lets go of it, which is before post() returns.
class CurlKmsTransport final : public KmsTransport {
 public:
  // url: https://HOST[:PORT][/PATH], or http:// to this machine's own loopback. ca_file: the authorities to believe
  // instead of the system's. kInvalidArgument. Connects at the first request.
  static Result<std::unique_ptr<CurlKmsTransport>> to(const std::string& url, const std::optional<std::string>& ca_file,
                                                      KmsCredentials& credentials);
  ~CurlKmsTransport() override;

  Result<Answer> post(const Request& request, MutableBytes into) override;

 private:
  struct State;
  explicit CurlKmsTransport(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace coffer
