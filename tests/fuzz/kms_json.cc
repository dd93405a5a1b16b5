#include "base/encoding.h"
#include "base/limits.h"
#include "tests/admin/admin_room.h"
#include "tests/fuzz/fuzz.h"

// KMS's and Coffer's JSON. An input's first line is an operation, TrentService.Encrypt, the rest its body: it is sent
// signed, so that all of it is read.
namespace coffer {
namespace {

using nlohmann::json;

const json* member(const json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

// A request that was taken reads as it was before it was printed.
void print_and_read(std::string_view body) {
  const auto read = parse_json_object(body);
  const auto* object = std::get_if<json>(&read);
  if (object == nullptr) return;
  claim(body.find('\0') == std::string_view::npos, "a body with a NUL is not taken");
  const auto again = parse_json_object(print_json(*object));
  claim(std::holds_alternative<json>(again) && std::get<json>(again) == *object,
        "an object reads as it was before it was printed");
}

// What was encrypted opens again with what the request said, and with no other context.
void open_again(AdminRoom& room, std::string_view body, const json& answer) {
  const auto request = std::get<json>(parse_json_object(body));
  json asked = {{"CiphertextBlob", answer.at("CiphertextBlob")}};
  if (const auto* context = member(request, "EncryptionContext")) asked["EncryptionContext"] = *context;
  const auto opened = room.kms_call("Decrypt", asked.dump());
  if (opened.status != 200) {  // a blob of this KMS in memory is longer than KMS's are: by its context
    claim(unbase64(answer.at("CiphertextBlob").get<std::string>())->size() > kKmsBlobMax, "what was encrypted opens");
    return;
  }
  claim(json::parse(opened.body).at("Plaintext") == request.at("Plaintext"), "what was encrypted opens as it was");
  asked["EncryptionContext"] = {{"another", "context"}};
  claim(room.kms_call("Decrypt", asked.dump()).status == 400, "nothing opens with another context");
}

void serve(std::string_view input) {
  const auto target = take_until(input, "\n");
  for (const char c : target)
    if (c < 0x21 || c > 0x7e) return;  // no header could have it
  AdminRoom room;
  room.kms_call("CreateKey", "{}");
  room.kms_call("CreateAlias", R"({"AliasName":"alias/a","TargetKeyId":"00000001-1111-4222-8333-444455556666"})");
  const bool ours = target.starts_with("Coffer.");
  const auto response = room.json(ours ? "coffer" : "kms", std::string(target), std::string(input));
  claim(response.status == 200 || (response.status >= 400 && response.status <= 503), "an answer has a status");
  claim(response.status != 500, "no input is our own mistake");
  print_and_read(input);
  if (response.body.empty()) {
    claim(response.status == 200, "a refusal says why");
    return;
  }
  const auto answer = json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  claim(answer.is_object(), "an answer is one JSON object");
  claim((response.status == 200) == (member(answer, "__type") == nullptr), "an error has a type, and nothing else has");
  if (target == "TrentService.Encrypt" && response.status == 200 && !member(answer, "DryRun"))
    open_again(room, input, answer);
  for (const auto& line : room.log_lines)
    for (const char c : line) claim(c >= 0x20 && c < 0x7f, "a log line is one line, of plain characters");
}

}  // namespace
}  // namespace coffer

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size <= coffer::kBodySizeMax) coffer::serve(coffer::fuzz_text(data, size));
  return 0;
}
