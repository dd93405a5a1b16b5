#include "daemon/curl_kms_transport.h"

#include <curl/curl.h>
#include <malloc.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "base/external_kms_limits.h"

namespace coffer {
namespace {

// --- libcurl's memory: keys pass through it, so it is wiped when it is given back ---

void free_wiped(void* memory) {
  if (memory == nullptr) return;
  wipe({static_cast<std::uint8_t*>(memory), malloc_usable_size(memory)});
  std::free(memory);
}

void* resize_wiped(void* memory, std::size_t size) {
  if (memory == nullptr) return std::malloc(size);
  void* larger = std::malloc(size);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, memory, std::min(size, malloc_usable_size(memory)));
  free_wiped(memory);
  return larger;
}

bool start_curl() {
  static const bool kStarted =
      curl_global_init_mem(CURL_GLOBAL_ALL, std::malloc, free_wiped, resize_wiped, strdup, std::calloc) == CURLE_OK;
  return kStarted;
}

CURLcode cleanse_plaintext(CURL*, void* context, void*) {
  SSL_CTX_set_options(static_cast<SSL_CTX*>(context), SSL_OP_CLEANSE_PLAINTEXT);
  return CURLE_OK;
}

// --- the endpoint ---

struct Url {
  CURLU* parts = curl_url();
  ~Url() { curl_url_cleanup(parts); }
  std::string part(CURLUPart which) const {
    char* text = nullptr;
    if (curl_url_get(parts, which, &text, 0) != CURLUE_OK) return "";
    std::string out = text;
    curl_free(text);
    return out;
  }
};

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "[::1]" ||
         (host.starts_with("127.") && host.find_first_not_of("0123456789.") == host.npos);
}

Error wrong_endpoint(const std::string& what) { return {Code::kInvalidArgument, "--kms-endpoint: " + what}; }

Status check_url(const std::string& url) {
  const Url parsed;
  if (curl_url_set(parsed.parts, CURLUPART_URL, url.c_str(), 0) != CURLUE_OK)
    return wrong_endpoint("not a URL: write https://HOST[:PORT]");
  const std::string scheme = parsed.part(CURLUPART_SCHEME);
  if (scheme != "https" && scheme != "http") return wrong_endpoint("https:// is served, and http:// to this machine");
  for (const CURLUPart unwanted : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT})
    if (!parsed.part(unwanted).empty())
      return wrong_endpoint("give host, port and path alone: access keys come from a file");
  if (scheme == "http" && !is_loopback(parsed.part(CURLUPART_HOST)))
    return wrong_endpoint(
        "http:// goes to this machine alone (127.0.0.1, [::1], localhost): keys would be readable on the way");
  return {};
}

// --- one request ---

struct HeaderList {
  curl_slist* first = nullptr;
  bool complete = true;
  ~HeaderList() { curl_slist_free_all(first); }
  void add(const std::string& line) {
    curl_slist* longer = curl_slist_append(first, line.c_str());
    complete = complete && longer != nullptr;
    if (longer != nullptr) first = longer;
  }
};

struct Body {
  MutableBytes into;
  std::size_t size = 0;
};

std::size_t take_body(char* data, std::size_t, std::size_t size, void* taken) {
  auto& body = *static_cast<Body*>(taken);
  if (size > body.into.size() - body.size) return 0;  // curl then fails the request
  std::copy(data, data + size, body.into.data() + body.size);
  body.size += size;
  return size;
}

Error away(const std::string& why) { return {Code::kKmsAway, "the external KMS does not answer: " + why}; }

}  // namespace

struct CurlKmsTransport::State {
  State(std::string url_in, std::optional<std::string> ca_file_in, KmsCredentials& credentials_in)
      : url(std::move(url_in)), ca_file(std::move(ca_file_in)), credentials(credentials_in) {}
  ~State() {
    for (CURLM* multi : idle) curl_multi_cleanup(multi);
  }

  // A handle holds its connections; whoever has taken it is alone with it.
  CURLM* take() {
    {
      const std::lock_guard lock(mutex);
      if (!idle.empty()) {
        CURLM* multi = idle.back();
        idle.pop_back();
        return multi;
      }
    }
    CURLM* multi = curl_multi_init();
    if (multi != nullptr) curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 1L);
    return multi;
  }
  void put_back(CURLM* multi) {
    const std::lock_guard lock(mutex);
    idle.push_back(multi);
  }

  const std::string url;
  const std::optional<std::string> ca_file;
  KmsCredentials& credentials;

  std::mutex mutex;  // guards idle
  std::vector<CURLM*> idle;
};

namespace {

// An easy handle, in a multi handle as long as it lives: its buffers go with it, the connection stays with the other.
class Transfer {
 public:
  explicit Transfer(CURLM* multi) : multi_(multi), easy_(curl_easy_init()) {
    error_[0] = '\0';
    if (easy_ != nullptr) curl_multi_add_handle(multi_, easy_);
  }
  ~Transfer() {
    if (easy_ == nullptr) return;
    curl_multi_remove_handle(multi_, easy_);
    curl_easy_cleanup(easy_);
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  template <class Value>
  void set(CURLoption option, Value value) {
    if (easy_ == nullptr || curl_easy_setopt(easy_, option, value) != CURLE_OK) usable_ = false;
  }
  char* error_text() { return error_; }

  // To its end: CURLOPT_TIMEOUT_MS bounds it.
  CURLcode run() {
    if (!usable_ || easy_ == nullptr) return CURLE_FAILED_INIT;
    int running = 1;
    while (running > 0) {
      if (curl_multi_perform(multi_, &running) != CURLM_OK) return CURLE_FAILED_INIT;
      if (running > 0 && curl_multi_poll(multi_, nullptr, 0, /*timeout_ms=*/1000, nullptr) != CURLM_OK)
        return CURLE_FAILED_INIT;
    }
    int left = 0;
    const CURLMsg* message = curl_multi_info_read(multi_, &left);
    return message != nullptr && message->msg == CURLMSG_DONE ? message->data.result : CURLE_FAILED_INIT;
  }
  int status() const {
    long code = 0;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &code);
    return static_cast<int>(code);
  }

 private:
  CURLM* multi_;
  CURL* easy_;
  bool usable_ = true;
  char error_[CURL_ERROR_SIZE];
};

}  // namespace

CurlKmsTransport::CurlKmsTransport(std::unique_ptr<State> state) : state_(std::move(state)) {}
CurlKmsTransport::~CurlKmsTransport() = default;

Result<std::unique_ptr<CurlKmsTransport>> CurlKmsTransport::to(const std::string& url,
                                                               const std::optional<std::string>& ca_file,
                                                               KmsCredentials& credentials) {
  if (!start_curl()) return Error{Code::kIo, "libcurl cannot be started"};
  COFFER_TRY(check_url(url));
  if (ca_file && access(ca_file->c_str(), R_OK) != 0)
    return Error{Code::kInvalidArgument, "--kms-ca-file: cannot read " + *ca_file};
  return std::unique_ptr<CurlKmsTransport>(new CurlKmsTransport(std::make_unique<State>(url, ca_file, credentials)));
}

Result<KmsTransport::Answer> CurlKmsTransport::post(const Request& request, MutableBytes into) {
  const auto access = state_->credentials.current();
  CURLM* multi = state_->take();
  if (multi == nullptr) return away("out of memory");
  HeaderList headers;
  headers.add("X-Amz-Target: TrentService." + std::string(request.operation));
  headers.add("Content-Type: application/x-amz-json-1.1");
  if (!access->session_token.empty()) headers.add("X-Amz-Security-Token: " + access->session_token);
  headers.add("Accept:");
  headers.add("Expect:");
  const std::string signer = "aws:amz:" + std::string(request.region) + ":kms";
  const bool is_http = state_->url.starts_with("http://");
  Body body{into};
  CURLcode done = CURLE_FAILED_INIT;
  int status = 0;
  std::string why;
  {
    Transfer transfer(multi);
    transfer.set(CURLOPT_ERRORBUFFER, transfer.error_text());
    transfer.set(CURLOPT_URL, state_->url.c_str());
    transfer.set(CURLOPT_PROTOCOLS_STR, is_http ? "http" : "https");
    transfer.set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    transfer.set(CURLOPT_NOSIGNAL, 1L);
    transfer.set(CURLOPT_FOLLOWLOCATION, 0L);
    transfer.set(CURLOPT_SSL_VERIFYPEER, 1L);
    transfer.set(CURLOPT_SSL_VERIFYHOST, 2L);
    transfer.set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    transfer.set(CURLOPT_SSL_CTX_FUNCTION, &cleanse_plaintext);
    if (state_->ca_file) transfer.set(CURLOPT_CAINFO, state_->ca_file->c_str());
    if (is_http) transfer.set(CURLOPT_PROXY, "");
    transfer.set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::min(request.limit_ms, kExternalConnectMs)));
    transfer.set(CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(request.limit_ms, 1)));
    transfer.set(CURLOPT_AWS_SIGV4, signer.c_str());
    transfer.set(CURLOPT_USERNAME, access->id.c_str());
    transfer.set(CURLOPT_PASSWORD, reinterpret_cast<const char*>(access->secret.view().data()));
    transfer.set(CURLOPT_HTTPHEADER, headers.first);
    transfer.set(CURLOPT_POST, 1L);
    transfer.set(CURLOPT_POSTFIELDS, request.body.data());  // curl reads it where it is
    transfer.set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    transfer.set(CURLOPT_WRITEFUNCTION, &take_body);
    transfer.set(CURLOPT_WRITEDATA, &body);
    if (headers.complete) done = transfer.run();
    status = done == CURLE_OK ? transfer.status() : 0;
    why = transfer.error_text()[0] != '\0' ? transfer.error_text() : curl_easy_strerror(done);
  }
  state_->put_back(multi);
  // curl takes headers that break off for an answer without a body; a KMS's is JSON.
  if (done == CURLE_OK && status == 200 && body.size == 0) return away("its answer broke off");
  if (done == CURLE_OK) return Answer{status, body.size};
  if (done == CURLE_WRITE_ERROR) return away("what it sends is longer than any answer of a KMS");
  return away(why);
}

}  // namespace coffer
