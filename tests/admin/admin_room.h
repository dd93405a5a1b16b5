#pragma once

#include <initializer_list>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "admin/server.h"
#include "tests/admin/fake_controls.h"
#include "tests/support/manual_clock.h"

namespace coffer {

class FakeAudit final : public AuditControl {
 public:
  void record(std::string record) override {
    const std::lock_guard lock(mutex_);
    records.push_back(std::move(record));
  }
  Result<Page> read(std::string_view from, std::size_t limit) override {
    Page page;
    std::size_t at = from.empty() ? 0 : std::stoul(std::string(from));
    for (; at < records.size() && page.entries.size() < limit; ++at) page.entries.push_back({at + 1, 0, 0, records[at]});
    page.next = std::to_string(at);
    return page;
  }
  Result<Verdict> verify() override { return Verdict{1, records.size(), 1, 0, 0, "abcd", {}}; }

  std::vector<std::string> records;

 private:
  std::mutex mutex_;  // guards records while requests run
};

// The server over fakes, and a client that signs. Requests are handed over without a socket.
struct AdminRoom {
  explicit AdminRoom(std::string_view region = "us-east-1")
      : realm{*AccountId::parse("000000000000"), *Region::parse(region)},
        buckets(realm.account),
        kms(realm),
        credentials(Principal::root_of(realm.account)),
        access(realm.account),
        server(realm, {buckets, kms.controls(), mount, unlock, audit, access, access, users}, credentials, clock,
               [this](LogLevel, std::string_view line) { log_lines.emplace_back(line); }) {
    buckets.add("docs");
  }

  HttpRequest request(std::string method, std::string target, std::string body = "",
                      std::vector<HttpHeader> headers = {}) {
    HttpRequest out{std::move(method), std::move(target), {{"Host", "localhost"}}, std::move(body)};
    for (auto& header : headers) {
      if (equal_ignoring_case(header.name, "host")) {
        out.headers[0] = std::move(header);
      } else {
        out.headers.push_back(std::move(header));
      }
    }
    if (!out.body.empty() || out.method == "PUT" || out.method == "POST")
      out.headers.push_back({"Content-Length", std::to_string(out.body.size())});
    return out;
  }
  HttpRequest signed_request(HttpRequest request, std::string_view service = "s3") {
    for (auto& header : sign(request, credentials.key(), service, realm.region.str(), clock.wall_ns()))
      request.headers.push_back(std::move(header));
    return request;
  }

  HttpResponse s3(std::string method, std::string target, std::string body = "", std::vector<HttpHeader> headers = {}) {
    return server.handle(
        signed_request(request(std::move(method), std::move(target), std::move(body), std::move(headers))));
  }
  HttpResponse json(std::string_view service, std::string target, std::string body) {
    return server.handle(
        signed_request(request("POST", "/", std::move(body),
                               {{"X-Amz-Target", std::move(target)}, {"Content-Type", "application/x-amz-json-1.1"}}),
                       service));
  }
  HttpResponse kms_call(std::string_view operation, std::string body) {
    return json("kms", "TrentService." + std::string(operation), std::move(body));
  }
  HttpResponse coffer_call(std::string_view operation, std::string body) {
    return json("coffer", "Coffer." + std::string(operation), std::move(body));
  }

  Realm realm;
  ManualClock clock;
  FakeBuckets buckets;
  FakeKms kms;
  FakeMount mount;
  FakeUnlock unlock;
  FakeAudit audit;
  FakeCredentials credentials;
  FakeAccess access;
  FakeUsers users;
  std::vector<std::string> log_lines;
  Server server;
};

inline std::string header_of(const HttpResponse& response, std::string_view name) {
  for (const auto& header : response.headers)
    if (equal_ignoring_case(header.name, name)) return header.value;
  return {};
}

// The text between <name> and </name>, as it stands; "(absent)" if there is none.
inline std::string element(std::string_view xml, std::string_view name) {
  const auto open = "<" + std::string(name) + ">", close = "</" + std::string(name) + ">";
  const auto begin = xml.find(open);
  if (begin == std::string_view::npos) return "(absent)";
  const auto end = xml.find(close, begin);
  if (end == std::string_view::npos) return "(absent)";
  return std::string(xml.substr(begin + open.size(), end - begin - open.size()));
}

}  // namespace coffer
