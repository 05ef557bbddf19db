// Rows 1 to 4: what is wrong with a request before anybody looks at the event in it.
#include <fmt/format.h>

#include <utility>

#include "matrix/canonical_json.h"
#include "matrix/x_matrix.h"
#include "tests/flow/leave_rows.h"
#include "tests/flow/must.h"

namespace postern::flow {
namespace {

using Alter = std::function<void(LeaveAttempt&)>;
using AlterRequest = std::function<void(LeaveAttempt&, http::Request&)>;

constexpr std::size_t kBodyLimitBytes = 96 * 1024;
constexpr std::size_t kHeaderLimitBytes = 16 * 1024;
constexpr std::size_t kDeepestJson = 2048;

Alter Request(AlterRequest alter) {
  return [alter = std::move(alter)](LeaveAttempt& attempt) {
    attempt.alter_request = [alter, &attempt](http::Request& request) { alter(attempt, request); };
  };
}

/// The signature stays as it was.
Alter Target(const std::function<void(std::string&)>& alter) {
  return Request([alter](LeaveAttempt&, http::Request& request) { alter(request.target); });
}
Alter Method(const std::string& method) {
  return Request([method](LeaveAttempt&, http::Request& request) { request.method = method; });
}
Alter Body(const std::function<void(std::string&)>& alter) {
  return Request([alter](LeaveAttempt&, http::Request& request) { alter(request.body); });
}

/// The request's header, taken apart, altered, and put together.
Alter Header(const std::function<void(LeaveAttempt&, matrix::XMatrixHeader&)>& alter) {
  return Request([alter](LeaveAttempt& attempt, http::Request& request) {
    auto header = Must("our own header", matrix::ParseXMatrix(request.headers.front().second));
    alter(attempt, header);
    request.headers.front().second = matrix::FormatXMatrix(header);
  });
}

/// As many headers as there are keys, each of them by the key that the origin publishes or by a stranger's.
Alter HeadersBy(const std::vector<bool>& keys_are_known) {
  return Request([keys_are_known](LeaveAttempt& attempt, http::Request& request) {
    request.headers.clear();
    for (const bool known : keys_are_known) {
      const matrix::SigningKey stranger = NewKey();
      attempt.remote.Sign(request, attempt.remote.name(), known ? attempt.remote.key() : stranger);
    }
  });
}

void AddPathAndMethod(std::vector<LeaveRow>& rows) {
  const std::string v3 = "/_matrix/federation/v3/send_leave";
  rows.insert(rows.end(),
              {{"R01_ALongerPathIsUnknown", Target([](auto& target) { target += "/more"; }), 404, "M_UNRECOGNIZED"},
               {"R01_AnotherVersionOfTheApiIsUnknown", Target([v3](auto& target) { target.replace(0, v3.size(), v3); }),
                404, "M_UNRECOGNIZED"},
               {"R01_PostIsNoMethodHere", Method("POST"), 405, "M_UNRECOGNIZED"},
               {"R01_GetIsNoMethodHere", Method("GET"), 405, "M_UNRECOGNIZED"}});
}

void AddLimits(std::vector<LeaveRow>& rows) {
  rows.insert(
      rows.end(),
      {{"R02_ABodyMayHaveWhiteSpace", Body([](auto& body) { body.insert(1, kBodyLimitBytes - body.size(), ' '); }), 200,
        "", Written::kTheLeave},
       {"R02_ABodyEndsAtTheLimit", Body([](auto& body) { body.insert(1, kBodyLimitBytes - body.size() + 1, ' '); }),
        413, "M_TOO_LARGE"},
       {"R02_HeadersEndAtTheLimit", Request([](auto&, auto& request) {
          request.headers.emplace_back("X-Long", std::string(kHeaderLimitBytes, 'x'));
        }),
        431, "M_UNKNOWN"}});
}

void AddJson(std::vector<LeaveRow>& rows) {
  const auto with = [](const std::string& member) {
    return Body([member](std::string& body) { body.insert(1, member + ","); });
  };
  rows.insert(rows.end(),
              {{"R03_ThereIsABody", Request([](auto&, auto& request) { request.body.clear(); }), 400, "M_NOT_JSON"},
               {"R03_TheBodyIsWhole", Body([](auto& body) { body.pop_back(); }), 400, "M_NOT_JSON"},
               {"R03_TheBodyIsOneValue", Body([](auto& body) { body += "{}"; }), 400, "M_NOT_JSON"},
               {"R03_TheBodyIsUtf8", with("\"a\":\"\xff\""), 400, "M_NOT_JSON"},
               {"R03_TheBodyIsAnObject", Body([](auto& body) { body = "[" + body + "]"; }), 400, "M_BAD_JSON"},
               {"R03_NoKeyIsThereTwice", with(R"("depth":1)"), 400, "M_BAD_JSON"},
               {"R03_NoKeyIsThereTwiceHoweverItIsSpelled", with(R"("\u0064epth":1)"), 400, "M_BAD_JSON"},
               {"R03_NoSurrogateIsAlone", with(R"("a":"\ud800")"), 400, "M_BAD_JSON"},
               {"R03_NestingEnds", with("\"a\":" + std::string(kDeepestJson, '[') + std::string(kDeepestJson, ']')),
                400, "M_BAD_JSON"}});
}

void AddWhatIsSigned(std::vector<LeaveRow>& rows) {
  rows.insert(
      rows.end(),
      {{"R04_TheBodyIsTheSignedOne", Body([](auto& body) { body.insert(1, R"("a":1,)"); }), 401, "M_UNAUTHORIZED"},
       {"R04_TheTargetIsSignedAsReceived", Target([](auto& target) { target += "?"; }), 401, "M_UNAUTHORIZED"},
       {"R04_AnotherSpellingOfTheTargetIsAnother", Target([](auto& target) {
          const auto at = target.find("send_leave");
          target.replace(at, 1, "%73");
        }),
        401, "M_UNAUTHORIZED"},
       {"R04_TheSignatureHolds", Header([](auto&, auto& header) { header.sig[0] = header.sig[0] == 'A' ? 'B' : 'A'; }),
        401, "M_UNAUTHORIZED"},
       {"R04_TheSignatureIsBase64", Header([](auto&, auto& header) { header.sig = "!"; }), 401, "M_UNAUTHORIZED"},
       {"R04_AKeyIdIsNoKey", Request([](LeaveAttempt& attempt, auto& request) {
          request.headers.clear();
          attempt.remote.Sign(request, attempt.remote.name(), NewKey(attempt.remote.key().key_id()));
        }),
        401, "M_UNAUTHORIZED"},
       {"R04_TheDestinationIsSigned", Request([](LeaveAttempt& attempt, auto& request) {
          const matrix::Json content(attempt.sent);
          auto header = Must("our own header", matrix::ParseXMatrix(request.headers.front().second));
          header.sig = matrix::SignRequest({.method = request.method,
                                            .uri = request.target,
                                            .origin = header.origin,
                                            .destination = "else.example",
                                            .content = &content},
                                           attempt.remote.key());
          request.headers.front().second = matrix::FormatXMatrix(header);
        }),
        401, "M_UNAUTHORIZED"}});
}

void AddWhoSigns(std::vector<LeaveRow>& rows) {
  rows.insert(
      rows.end(),
      {{"R04_ThereIsAHeader", Request([](auto&, auto& request) { request.headers.clear(); }), 401, "M_UNAUTHORIZED"},
       {"R04_AnotherSchemeIsNone", Request([](auto&, auto& request) {
          request.headers = {{"Authorization", "Bearer x"}};
        }),
        401, "M_UNAUTHORIZED"},
       {"R04_TheHeaderParses",
        Request([](auto&, auto& request) { request.headers.front().second = "X-Matrix origin=\"unterminated"; }), 401,
        "M_UNAUTHORIZED"},
       {"R04_FourHeadersMayCome", HeadersBy({true, true, true, true}), 200, "", Written::kTheLeave},
       {"R04_FiveHeadersAreTooMany", HeadersBy({true, true, true, true, true}), 401, "M_UNAUTHORIZED"},
       {"R04_OneKnownKeyIsEnough", HeadersBy({false, true}), 200, "", Written::kTheLeave},
       {"R04_AStrangersKeyIsNotEnough", HeadersBy({false}), 401, "M_UNAUTHORIZED"},
       {"R04_EveryKnownKeysSignatureHolds", Request([](LeaveAttempt& attempt, auto& request) {
          attempt.remote.Sign(request, attempt.remote.name(), NewKey(attempt.remote.key().key_id()));
        }),
        401, "M_UNAUTHORIZED"},
       {"R04_AllHeadersAreOfOneOrigin", Request([](LeaveAttempt& attempt, auto& request) {
          attempt.remote.Sign(request, "localhost:1", attempt.remote.key());
        }),
        401, "M_UNAUTHORIZED"},
       {"R04_TheOriginIsAServerName", Header([](auto&, auto& header) { header.origin = "no server"; }), 401,
        "M_UNAUTHORIZED"},
       {"R04_TheOriginIsAnotherServer",
        Header([](LeaveAttempt& attempt, auto& header) { header.origin = attempt.scene.stack.server_name(); }), 401,
        "M_UNAUTHORIZED"},
       {"R04_TheOriginsKeysCanBeHad", Header([](auto&, auto& header) { header.origin = "localhost:1"; }), 401,
        "M_UNAUTHORIZED"},
       {"R04_TheOriginsKeyIsValidNow", Request([](LeaveAttempt& attempt, auto& request) {
          const PlayedHomeserver& outdated = attempt.scene.outdated;
          request.headers.clear();
          outdated.Sign(request, outdated.name(), outdated.key());
        }),
        401, "M_UNAUTHORIZED"},
       {"R04_TheDestinationIsThisServer", Header([](auto&, auto& header) { header.destination = "else.example"; }), 401,
        "M_UNAUTHORIZED"},
       {"R04_TheDestinationMayBeLeftOut", Header([](auto&, auto& header) { header.destination.reset(); }), 200, "",
        Written::kTheLeave}});
}

}  // namespace

std::vector<LeaveRow> RequestRows() {
  std::vector<LeaveRow> rows;
  AddPathAndMethod(rows);
  AddLimits(rows);
  AddJson(rows);
  AddWhatIsSigned(rows);
  AddWhoSigns(rows);
  return rows;
}

}  // namespace postern::flow
