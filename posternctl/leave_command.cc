// posternctl leave: plays the remote homeserver of one user through the whole handshake, against any homeserver.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>

#include "absl/time/clock.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "posternctl/commands.h"
#include "posternctl/leave_batch.h"
#include "posternctl/leave_options.h"
#include "posternctl/peer/key_endpoint.h"
#include "posternctl/peer/remote_server.h"
#include "posternctl/report.h"

namespace postern::posternctl {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

// The body as JSON where it is JSON, else as the text it is.
Json BodyJson(const http::Response& response) {
  auto parsed = matrix::ParseJson(response.body);
  return parsed.ok() ? *std::move(parsed) : Json(response.body);
}

// Changes what the signature says, not that it is there and well-formed.
void TamperWithSignature(JsonObject& event, const peer::ServerIdentity& identity) {
  Json* servers = event.Find("signatures");
  JsonObject keys = *servers->AsObject()->Find(identity.name())->AsObject();
  std::string signature = *keys.Find(identity.key().key_id())->AsString();
  signature.front() = signature.front() == 'A' ? 'B' : 'A';
  keys.Set(identity.key().key_id(), signature);
  JsonObject all = *servers->AsObject();
  all.Set(identity.name(), std::move(keys));
  event.Set("signatures", std::move(all));
}

/// One run of the command. Each stage says what it did and how long it took, or is collected for --json.
class Handshake {
 public:
  Handshake(const LeaveOptions& options, const GlobalOptions& global, const peer::ServerIdentity& identity)
      : options_(options),
        global_(global),
        identity_(identity),
        client_({.allow_private_networks = true, .insecure_tls = options.insecure, .ca_file = options.ca_file}),
        server_(identity, client_) {}

  int Run() {
    const absl::Status done = Play();
    if (!done.ok()) answer_.Set("error", std::string(matrix::DetailOf(done)));
    if (global_.json) {
      answer_.Set("stages", std::move(stages_));
      PrintJson(answer_);
    }
    if (!done.ok()) return Fail(done);
    return status_ == kHttpOk ? kExitOk : kExitRefused;
  }

 private:
  absl::Status Play() {
    answer_.Set("room_id", options_.intent.room_id);
    answer_.Set("user_id", options_.intent.user_id);
    answer_.Set("status", 0);
    for (const auto stage : {&Handshake::ServeKeys, &Handshake::NameDestination, &Handshake::TakeTemplate,
                             &Handshake::Complete, &Handshake::Submit}) {
      const absl::Status done = (this->*stage)();
      if (!done.ok() || ended_) return done;
    }
    return absl::OkStatus();
  }

  absl::Status ServeKeys() {
    const std::string address = peer::LoopbackAddressOf(identity_.server_name());
    if (options_.no_key_server || address.empty()) return absl::OkStatus();
    const absl::Time began = absl::Now();
    auto endpoint = peer::KeyEndpoint::Start(identity_, address);
    // Most likely `key serve`, or another run of this command, is there already.
    Report("key endpoint", endpoint.ok() ? "https://" + address : fmt::format("left to whoever is at {}", address),
           began);
    if (endpoint.ok()) key_endpoint_ = *std::move(endpoint);
    return absl::OkStatus();
  }

  absl::Status NameDestination() {
    destination_ = {.url = options_.url, .server_name = options_.destination};
    if (!destination_.server_name.empty()) return absl::OkStatus();
    const absl::Time began = absl::Now();
    auto name = peer::AskServerName(client_, options_.url);
    if (!name.ok()) return name.status();
    destination_.server_name = *std::move(name);
    Report("destination", destination_.server_name, began);
    return absl::OkStatus();
  }

  absl::Status TakeTemplate() {
    std::string body;
    if (!options_.template_file.empty()) {
      std::ifstream file(options_.template_file, std::ios::binary);
      body.assign(std::istreambuf_iterator<char>(file), {});
      if (!file) return Refuse(Reason::kInvalidArgument, fmt::format("{}: cannot be read", options_.template_file));
    } else {
      const absl::Time began = absl::Now();
      const auto response = server_.MakeLeave(destination_, options_.intent);
      if (!response.ok()) return response.status();
      Answered("make_leave", *response, began);
      if (response->status != kHttpOk) {
        ended_ = true;
        return absl::OkStatus();
      }
      body = response->body;
    }
    return KeepTemplate(body);
  }

  absl::Status KeepTemplate(const std::string& body) {
    auto read = peer::ReadLeaveTemplate(body);
    if (!read.ok()) return read.status();
    template_ = *std::move(read);
    answer_.Set("room_version", template_.rules->version);
    answer_.Set("template", template_.event);
    if (!options_.template_only.empty()) {
      std::ofstream file(options_.template_only, std::ios::binary);
      file << body;
      file.close();
      ended_ = true;
      if (!file) return Refuse(Reason::kInvalidArgument, fmt::format("{}: cannot be written", options_.template_only));
    }
    // A foreign origin plays an impostor, whose template is for itself.
    const bool impostor = identity_.name() != matrix::DomainOf(options_.intent.user_id);
    return impostor ? absl::OkStatus() : peer::CheckLeaveTemplate(template_, options_.intent);
  }

  absl::Status Complete() {
    const absl::Time began = absl::Now();
    auto leave = peer::CompleteLeave(template_, options_.intent, identity_, absl::Now());
    if (!leave.ok()) return leave.status();
    leave_ = *std::move(leave);
    if (options_.tamper_signature) TamperWithSignature(leave_.event, identity_);
    answer_.Set("event_id", leave_.event_id);
    answer_.Set("event", leave_.event);
    Report(options_.tamper_signature ? "sign, and tamper" : "complete, hash, sign", leave_.event_id, began);
    return absl::OkStatus();
  }

  absl::Status Submit() {
    const auto first = options_.api == "v1" ? peer::LeaveApi::kV1 : peer::LeaveApi::kV2;
    const auto response = Send(first);
    if (!response.ok()) return response.status();
    if (options_.api != "auto" || !peer::EndpointIsUnknown(*response)) return absl::OkStatus();
    return Send(peer::LeaveApi::kV1).status();
  }

  absl::StatusOr<http::Response> Send(peer::LeaveApi api) {
    const absl::Time began = absl::Now();
    const char* name = api == peer::LeaveApi::kV1 ? "v1" : "v2";
    auto response = server_.SendLeave(destination_, api, leave_);
    if (!response.ok()) return response.status();
    answer_.Set("api", name);
    Answered(fmt::format("send_leave {}", name), *response, began);
    return response;
  }

  void Answered(const std::string& stage, const http::Response& response, absl::Time began) {
    status_ = response.status;
    answer_.Set("stage", stage);
    answer_.Set("status", response.status);
    answer_.Set("body", BodyJson(response));
    const bool brief = stage == "make_leave" && response.status == kHttpOk;
    Report(stage, fmt::format("{} {}", response.status, brief ? "template" : Printable(response.body)), began);
  }

  void Report(const std::string& stage, const std::string& what, absl::Time began) {
    const double milliseconds = absl::ToDoubleMilliseconds(absl::Now() - began);
    if (!global_.json) {
      std::cout << fmt::format("{:<22}{:>9.1f} ms  {}\n", stage, milliseconds, what);
      return;
    }
    JsonObject entry;
    entry.Set("name", stage);
    entry.Set("what", what);
    entry.Set("us", static_cast<std::int64_t>(milliseconds * 1000));
    stages_.emplace_back(std::move(entry));
  }

  const LeaveOptions& options_;
  const GlobalOptions& global_;
  const peer::ServerIdentity& identity_;
  http::HttpClient client_;
  peer::RemoteServer server_;
  std::unique_ptr<peer::KeyEndpoint> key_endpoint_;
  peer::Destination destination_;
  peer::LeaveTemplate template_ = {};
  peer::SignedLeave leave_;
  bool ended_ = false;
  int status_ = 0;
  JsonObject answer_;
  matrix::JsonArray stages_;
};

int Leave(const GlobalOptions& global, LeaveOptions& options) {
  while (options.url.ends_with('/')) options.url.pop_back();
  if (!options.batch_file.empty()) return LeaveInBatch(options);
  if (options.intent.room_id.empty() || options.intent.user_id.empty()) {
    return FailUsage(Refuse(Reason::kInvalidArgument, "a leave needs ROOM and --as, or --batch"));
  }
  const auto user = matrix::UserId::Parse(options.intent.user_id);
  if (!user.ok()) return FailUsage(user.status());
  auto origin = options.origin.empty() ? user->server() : matrix::ServerName::Parse(options.origin);
  if (!origin.ok()) return FailUsage(origin.status());
  auto keys = peer::ReadKeyFile(options.key_file);
  if (!keys.ok()) return FailUsage(keys.status());
  const peer::ServerIdentity identity(*std::move(origin), *std::move(keys));
  return Handshake(options, global, identity).Run();
}

}  // namespace

namespace {

constexpr const char* kLeaveFooter = R"(
examples:
  posternctl leave --as @bob:localhost:8448 --key bob.key --to http://127.0.0.1:8008 '!room:here.example'
  posternctl leave --as @bob:localhost:8448 --key bob.key --to http://127.0.0.1:8008 --template-only t.json '!r:h'
  posternctl leave --batch leaves.jsonl --concurrency 16 --key there.key --to http://127.0.0.1:8008
Where the user's server is a port of this machine (localhost:8448, 127.0.0.1:8448), its keys are served there over
HTTPS meanwhile, unless somebody does already. The exit status is 0 only if the last answer was 200.

--batch: a line is {"room": …, "user": …} and may have "template", an answer of make_leave, and "at_ms", what the
remote's clock is to say; all users are of one server. Leaves that have a template are signed before any is sent. Each
leave is answered with a line of JSON as it ends: room, user, the stage that was answered last, status (0: no answer,
and why), errcode, event_id and the microseconds it took: with --per-second from the moment at which it was to begin,
although another answer may have been waited for then. With --template-only FILE only templates are taken, and FILE
becomes a batch that has them. The exit status is 0 only if every answer was 200.
--measure, for who drives a load: when everything is signed and warmed up there is a line {"ready": true}, and the rest
is played when a line comes on standard input; the last line is {"measured": {"leaves", "us", "cpu_us"}}, this
program's own CPU, for the leaves after that. --lines-at-end keeps the lines of these until all have ended, so that
nobody reads them on the processors that the load is for.)";

void AddBatchOptions(CLI::App& leave, LeaveOptions& options, const std::vector<CLI::Option*>& for_one_leave) {
  CLI::Option* batch =
      leave.add_option("--batch", options.batch_file, "many leaves, a line of JSON each; - reads standard input");
  for (CLI::Option* option : for_one_leave) batch->excludes(option);
  leave.add_option("--concurrency", options.concurrency, "of --batch: how many leaves at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str()
      ->needs(batch);
  leave
      .add_option("--per-second", options.per_second,
                  "of --batch: how many leaves to begin in a second, evenly; 0: no limit")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str()
      ->needs(batch);
  leave
      .add_option("--warm-up", options.warm_up,
                  "of --batch: how many of the first leaves to play before the others; their lines say \"warm_up\"")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str()
      ->needs(batch);
  CLI::Option* measure =
      leave.add_flag("--measure", options.measure, "of --batch: wait for a word before the load, and say what it took")
          ->needs(batch);
  leave.add_flag("--lines-at-end", options.lines_at_end, "of --measure: print no answer before all have ended")
      ->needs(measure);
}

}  // namespace

void AddLeaveCommand(CLI::App& app, CommandLine& line) {
  auto options = std::make_shared<LeaveOptions>();
  CLI::App* leave =
      app.add_subcommand("leave", "play a remote homeserver whose user leaves a room, or rejects its invite");
  CLI::Option* room = leave->add_option("ROOM", options->intent.room_id, "the room's id");
  CLI::Option* user =
      leave->add_option("--as", options->intent.user_id, "the user who leaves, of the server that is played");
  leave->add_option("--key", options->key_file, "the played server's key file")->required();
  leave->add_option("--to", options->url, "the homeserver that is asked, e.g. https://here.example:8448")->required();
  leave->add_option("--api", options->api, "of send_leave; auto: v2, then v1 if v2 answers 404 or 400 M_UNRECOGNIZED")
      ->check(CLI::IsMember({"v1", "v2", "auto"}))
      ->capture_default_str();
  leave->add_option("--reason", options->intent.reason, "content.reason of the leave");
  leave->add_option("--destination", options->destination,
                    "the name of the server that is asked; else it is asked for it");
  leave->add_option("--template-only", options->template_only, "take a template, keep it in this file, and end");
  CLI::Option* given =
      leave->add_option("--template", options->template_file, "use this template instead of asking for one");
  leave->add_flag("--no-key-server", options->no_key_server,
                  "do not serve the played server's keys, though its name is a port of this machine");
  leave->add_option("--ca", options->ca_file, "PEM of further authorities for the asked server's certificate");
  leave->add_flag("--insecure", options->insecure, "believe any certificate of the asked server");
  CLI::Option* origin =
      leave->add_option("--origin", options->origin, "play another server than the user's own, to see it refused");
  CLI::Option* tamper = leave->add_flag("--tamper-signature", options->tamper_signature,
                                        "spoil the event's signature, to see it refused");
  AddBatchOptions(*leave, *options, {room, user, given, origin, tamper});
  leave->footer(kLeaveFooter);
  leave->callback([options, &line] { line.chosen = [options, &line] { return Leave(line.global, *options); }; });
}

}  // namespace postern::posternctl
