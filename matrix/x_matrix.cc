#include "matrix/x_matrix.h"

#include <algorithm>
#include <set>

#include "fmt/format.h"
#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/refusal.h"

namespace postern::matrix {
namespace {

constexpr std::size_t kUsualBytes = 2048;  // a leave and its path fit
constexpr std::string_view kScheme = "x-matrix";

char Lower(char c) { return 'A' <= c && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool IsTokenCharacter(char c) {
  const bool alphanumeric = ('0' <= c && c <= '9') || ('a' <= Lower(c) && Lower(c) <= 'z');
  return alphanumeric || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
bool IsBlank(char c) { return c == ' ' || c == '\t'; }
// RFC 9110 5.6.4: qdtext, and what may follow a backslash.
bool IsQuotedText(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return c == '\t' || (byte >= 0x20 && byte != 0x7f && c != '"' && c != '\\');
}
bool IsEscapable(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return c == '\t' || (byte >= 0x20 && byte != 0x7f);
}

/// Reads a header from left to right.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool AtEnd() const { return rest_.empty(); }
  bool Take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  template <typename Accepts>
  std::string_view TakeWhile(Accepts accepts) {
    const auto end = std::ranges::find_if_not(rest_, accepts);
    const std::string_view taken = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
    rest_.remove_prefix(taken.size());
    return taken;
  }
  /// quoted-string or bare value; nullopt if neither is here.
  std::optional<std::string> TakeValue() {
    if (Take('"')) return TakeQuoted();
    const std::string_view bare = TakeWhile([](char c) { return IsTokenCharacter(c) || c == ':'; });
    return bare.empty() ? std::nullopt : std::optional<std::string>(bare);
  }

 private:
  std::optional<std::string> TakeQuoted() {
    std::string value;
    while (!AtEnd()) {
      if (Take('"')) return value;
      const bool escaped = Take('\\');
      if (AtEnd() || !(escaped ? IsEscapable(rest_.front()) : IsQuotedText(rest_.front()))) return std::nullopt;
      value += rest_.front();
      rest_.remove_prefix(1);
    }
    return std::nullopt;
  }

  std::string_view rest_;
};

absl::Status Malformed(std::string_view why) {
  return Refuse(Reason::kUnauthenticated, fmt::format("X-Matrix header: {}", why));
}

/// name "=" value; the name in lower case.
std::optional<std::pair<std::string, std::string>> TakeParameter(Reader& reader) {
  std::string name(reader.TakeWhile(IsTokenCharacter));
  std::ranges::transform(name, name.begin(), Lower);
  if (name.empty() || !reader.Take('=')) return std::nullopt;
  auto value = reader.TakeValue();
  if (!value) return std::nullopt;
  return std::pair(std::move(name), *std::move(value));
}

struct Parameters {
  std::optional<std::string> origin, destination, key, sig;
  std::set<std::string> seen;

  /// False if the name has come before.
  bool Set(std::string name, std::string value) {
    if (name == "origin")
      origin = std::move(value);
    else if (name == "destination")
      destination = std::move(value);
    else if (name == "key")
      key = std::move(value);
    else if (name == "sig")
      sig = std::move(value);
    return seen.insert(std::move(name)).second;
  }
};

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace

bool IsXMatrix(std::string_view header) {
  return header.size() >= kScheme.size() && std::ranges::equal(header.substr(0, kScheme.size()), kScheme, {}, Lower) &&
         (header.size() == kScheme.size() || IsBlank(header[kScheme.size()]));
}

absl::StatusOr<XMatrixHeader> ParseXMatrix(std::string_view header) {
  Reader reader(header);
  const std::string_view scheme = reader.TakeWhile(IsTokenCharacter);
  if (!std::ranges::equal(scheme, kScheme, {}, Lower)) return Malformed("another scheme");
  if (reader.TakeWhile([](char c) { return c == ' '; }).empty()) return Malformed("no space after the scheme");
  Parameters parameters;
  while (true) {
    auto parameter = TakeParameter(reader);
    if (!parameter) return Malformed("a parameter is not name=value");
    if (!parameters.Set(std::move(parameter->first), std::move(parameter->second)))
      return Malformed("a name comes twice");
    if (reader.AtEnd()) break;
    reader.TakeWhile(IsBlank);
    if (!reader.Take(',')) return Malformed("parameters are separated by commas");
    reader.TakeWhile(IsBlank);
  }
  if (!parameters.origin || !parameters.key || !parameters.sig) return Malformed("origin, key or sig is missing");
  return XMatrixHeader{*std::move(parameters.origin), std::move(parameters.destination), *std::move(parameters.key),
                       *std::move(parameters.sig)};
}

std::string RequestToSign(const SignedRequest& request) {
  std::string text;
  text.reserve(kUsualBytes);
  CanonicalObjectWriter writer(text);
  if (request.content) writer.Add("content", *request.content);
  writer.Add("destination", request.destination);
  writer.Add("method", request.method);
  writer.Add("origin", request.origin);
  writer.Add("uri", request.uri);
  writer.End();
  return text;
}

std::string SignRequest(const SignedRequest& request, const SigningKey& key) {
  return EncodeBase64(key.Sign(RequestToSign(request)));
}

bool VerifyRequest(const SignedRequest& request, std::string_view sig, std::string_view public_key) {
  const auto signature = DecodeBase64(sig);
  return signature && VerifySignature(RequestToSign(request), *signature, public_key);
}

std::string FormatXMatrix(const XMatrixHeader& header) {
  std::string text = fmt::format("X-Matrix origin={}", Quoted(header.origin));
  if (header.destination) text += fmt::format(",destination={}", Quoted(*header.destination));
  return text + fmt::format(",key={},sig={}", Quoted(header.key), Quoted(header.sig));
}

}  // namespace postern::matrix
