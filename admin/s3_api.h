#pragma once

#include "admin/control.h"
#include "admin/http.h"
#include "admin/s3_error.h"
#include "admin/s3_target.h"
#include "admin/session.h"
#include "base/clock.h"

namespace coffer {

// S3's bucket operations over BucketControl (S3 API reference). Sees requests whose signature holds. Thread-safe.
class S3Api {
 public:
  S3Api(const Realm& realm, BucketControl& buckets, BucketPolicyControl& policies, AccessControl& access,
        const Clock& clock)
      : realm_(realm), buckets_(buckets), policies_(policies), access_(access), clock_(clock) {}

  struct Caller {
    const AccessKey& key;
    const Session* session = nullptr;  // of a directory bucket, whose key this is
  };
  S3Result<HttpResponse> serve(S3Operation operation, const S3Target& target, const HttpRequest& request,
                               const Caller& caller);

 private:
  S3Result<HttpResponse> list_buckets(const S3Target& target, const Principal& caller);
  S3Result<HttpResponse> create_bucket(const S3Target& target, const HttpRequest& request, const Principal& caller);
  S3Result<HttpResponse> answer_existing(const BucketName& bucket, const Principal& caller);
  S3Result<HttpResponse> head_bucket(const BucketName& bucket);
  S3Result<HttpResponse> delete_bucket(const BucketName& bucket);
  S3Result<HttpResponse> put_encryption(const BucketName& bucket, std::string_view body);
  S3Result<HttpResponse> get_encryption(const BucketName& bucket);
  S3Result<HttpResponse> delete_encryption(const BucketName& bucket);
  // --- s3_api_policy.cc ---
  std::optional<S3Error> check_access(S3Operation operation, const BucketInfo& bucket, const HttpRequest& request,
                                      const Principal& caller);
  // Of an operation on no bucket that is there: a list, or the making of one. bucket: empty for a list.
  std::optional<S3Error> check_access(S3Operation operation, std::string_view bucket, const HttpRequest& request,
                                      const Principal& caller);
  std::string arn_of(const BucketName& bucket, const AccountId& owner) const;
  S3Result<HttpResponse> put_policy(const BucketInfo& bucket, std::string_view body);
  S3Result<HttpResponse> get_policy(const BucketInfo& bucket);
  S3Result<HttpResponse> delete_policy(const BucketInfo& bucket);
  // --- s3_api_directory.cc ---
  S3Result<HttpResponse> list_directory_buckets(const S3Target& target, const Principal& caller);
  S3Result<HttpResponse> create_session(const BucketName& bucket, const HttpRequest& request, const Caller& caller);
  S3Result<HttpResponse> put_directory_encryption(const BucketName& bucket, std::string_view body,
                                                  const Principal& caller);
  std::optional<S3Error> check_session_encryption(const BucketName& bucket, const HttpRequest& request,
                                                  SessionTerms& terms);

  // The bucket a request means, once it is known to exist and to belong to whom the request expects.
  S3Result<BucketInfo> existing_bucket(const S3Target& target, const HttpRequest& request, const Principal& caller);

  const Realm realm_;
  BucketControl& buckets_;
  BucketPolicyControl& policies_;
  AccessControl& access_;
  const Clock& clock_;
};

// What is refused of a request for a directory bucket before anything is looked up (SEED-02, 04, 58, 61, DIR-03, 04, 13),
// and what makes no sense for any other.
std::optional<S3Error> check_directory_request(S3Operation operation, const S3Target& target, const HttpRequest& request,
                                               const Session* session, const Region& region);

}  // namespace coffer
