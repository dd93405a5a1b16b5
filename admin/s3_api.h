#pragma once

#include "admin/control.h"
#include "admin/http.h"
#include "admin/s3_error.h"
#include "admin/s3_target.h"

namespace coffer {

// S3's bucket operations over BucketControl (S3 API reference). Sees requests whose signature holds. Thread-safe.
class S3Api {
 public:
  S3Api(const Realm& realm, BucketControl& buckets) : realm_(realm), buckets_(buckets) {}

  S3Result<HttpResponse> serve(S3Operation operation, const S3Target& target, const HttpRequest& request,
                               const Principal& caller);

 private:
  S3Result<HttpResponse> list_buckets(const S3Target& target, const Principal& caller);
  S3Result<HttpResponse> create_bucket(const S3Target& target, const HttpRequest& request, const Principal& caller);
  S3Result<HttpResponse> answer_existing(const BucketName& bucket, const Principal& caller);
  S3Result<HttpResponse> head_bucket(const BucketName& bucket);
  S3Result<HttpResponse> delete_bucket(const BucketName& bucket);
  S3Result<HttpResponse> put_encryption(const BucketName& bucket, std::string_view body);
  S3Result<HttpResponse> get_encryption(const BucketName& bucket);
  S3Result<HttpResponse> delete_encryption(const BucketName& bucket);
  // The bucket a request means, once it is known to exist and to belong to whom the request expects.
  S3Result<BucketName> existing_bucket(const S3Target& target, const HttpRequest& request);

  const Realm realm_;
  BucketControl& buckets_;
};

}  // namespace coffer
