// posternctl check: whether a homeserver is there and others will believe it, in a line for each thing that matters.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "http/http_client.h"
#include "http/http_url.h"
#include "matrix/refusal.h"
#include "posternctl/commands.h"
#include "posternctl/report.h"
#include "posternctl/server_checks.h"

namespace postern::posternctl {
namespace {

constexpr const char* kKeyPath = "/_matrix/key/v2/server";
constexpr const char* kVersionPath = "/_matrix/federation/v1/version";
constexpr int kHttpOk = 200;
constexpr int kHttpNotFound = 404;
constexpr int kFederationPort = 8448;

struct CheckOptions {
  std::string url;
  std::string server_name;
  std::vector<std::string> admin_urls;
  std::string ca_file;
  bool no_discovery = false;
};

/// One run. Each check is printed as it is made, or collected for --json.
class ServerCheck {
 public:
  ServerCheck(const CheckOptions& options, const GlobalOptions& global, http::Url url)
      : options_(options),
        global_(global),
        url_(std::move(url)),
        base_(fmt::format("{}://{}", url_.scheme, Authority(url_.host, url_.port))),
        as_told_({.allow_private_networks = true, .insecure_tls = true}),
        as_others_({.allow_private_networks = true, .ca_file = options.ca_file}) {}

  int Run() {
    Note(Reach());
    if (version_) {
      Note(CheckVersion(*version_, POSTERN_VERSION));
      Note(CheckClock(*version_, asked_, came_));
      const auto published = PublishedAt(as_told_, base_);
      Note(CheckKeys(published, options_.server_name, absl::Now()));
      if (published.ok()) published_ = *published;
      FindOut();
    }
    for (const std::string& admin : options_.admin_urls) Note(CheckReady(admin, Get(as_told_, admin + "/readyz")));
    return Conclude();
  }

 private:
  static std::string Authority(const std::string& host, int port) {
    return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
  }

  absl::StatusOr<http::Response> Get(http::HttpClient& client, const std::string& url) const {
    return client.Send({.url = url, .timeout = absl::Seconds(global_.timeout_seconds)});
  }
  absl::StatusOr<PublishedKeys> PublishedAt(http::HttpClient& client, const std::string& base) const {
    const auto answer = Get(client, base + kKeyPath);
    if (!answer.ok()) return answer.status();
    return ReadPublishedKeys(*answer);
  }

  CheckResult Reach() {
    asked_ = absl::Now();
    auto answer = Get(as_told_, base_ + kVersionPath);
    came_ = absl::Now();
    if (!answer.ok())
      return {"reach", CheckOutcome::kFailed, fmt::format("{}: {}", base_, std::string(answer.status().message()))};
    version_ = *std::move(answer);
    return {"reach", CheckOutcome::kOk,
            fmt::format("{} answered in {:.0f} ms", base_, absl::ToDoubleMilliseconds(came_ - asked_))};
  }

  /// Where other servers go, by its name, and what certificate they want there.
  void FindOut() {
    const std::string text = !options_.server_name.empty() ? options_.server_name
                             : published_                  ? published_->server_name
                                                           : "";
    const auto name = matrix::ServerName::Parse(text);
    if (!name.ok()) {
      Note({"discovery", CheckOutcome::kSkipped, "the server's name is not known: --server-name says it"});
      return CheckShown(url_.host);
    }
    const auto delegated = options_.no_discovery ? std::optional(*name) : Delegated(*name);
    if (delegated && published_ && !options_.no_discovery) Note(FoundAt(*delegated, *published_));
    CheckShown(std::string((delegated ? *delegated : *name).host()));
  }

  /// Step 3 of "Resolving server names". Nullopt: there is something wrong with it, which has been said.
  std::optional<matrix::ServerName> Delegated(const matrix::ServerName& name) {
    if (name.IsIpLiteral() || name.port()) return name;
    const std::string url = fmt::format("https://{}/.well-known/matrix/server", name.text());
    const auto answer = Get(as_others_, url);
    if (!answer.ok()) {
      Note({"well-known", CheckOutcome::kWarning, fmt::format("{}: {}", url, std::string(answer.status().message()))});
      return name;
    }
    if (answer->status == kHttpNotFound) {
      Note({"well-known", CheckOutcome::kOk, fmt::format("{}: there is none", url)});
      return name;
    }
    if (answer->status != kHttpOk) {
      Note({"well-known", CheckOutcome::kWarning,
            fmt::format("{}: answered {}; redirects are not followed here", url, answer->status)});
      return std::nullopt;
    }
    auto delegated = ReadDelegation(*answer);
    if (!delegated.ok()) {
      Note({"well-known", CheckOutcome::kFailed, fmt::format("{}: {}", url, matrix::DetailOf(delegated.status()))});
      return std::nullopt;
    }
    Note({"well-known", CheckOutcome::kOk, fmt::format("{}: {}", url, delegated->text())});
    return *std::move(delegated);
  }

  CheckResult FoundAt(const matrix::ServerName& delegated, const PublishedKeys& published) {
    const int port = delegated.port().value_or(kFederationPort);
    const std::string at = Authority(std::string(delegated.host()), port);
    const auto found = PublishedAt(as_others_, "https://" + at);
    const bool may_be_elsewhere = !delegated.port() && !delegated.IsIpLiteral();
    if (!found.ok() && absl::IsUnavailable(found.status()) && may_be_elsewhere) {
      return {"discovery", CheckOutcome::kWarning,
              fmt::format("{}: {}; an SRV record may lead elsewhere, which is not looked up here", at,
                          std::string(found.status().message()))};
    }
    return CheckFound(at, found, published);
  }

  void CheckShown(const std::string& name) {
    if (url_.scheme != "https") {
      return Note({"certificate", CheckOutcome::kSkipped, "plain HTTP: ask the proxy in front"});
    }
    const absl::Time deadline = absl::Now() + absl::Seconds(global_.timeout_seconds);
    Note(CheckCertificate(http::FetchCertificate(url_.host, url_.port, name, options_.ca_file, deadline), name,
                          absl::Now()));
  }

  void Note(CheckResult result) {
    if (!global_.json) {
      std::cout << fmt::format("{:<9}{:<13}{}\n", NameOf(result.outcome), result.check, Printable(result.detail));
    }
    results_.push_back(std::move(result));
  }

  int Conclude() const {
    const bool failed = std::ranges::any_of(
        results_, [](const CheckResult& result) { return result.outcome == CheckOutcome::kFailed; });
    if (global_.json) {
      matrix::JsonArray checks;
      for (const CheckResult& result : results_) {
        matrix::JsonObject check;
        check.Set("check", result.check);
        check.Set("outcome", NameOf(result.outcome));
        check.Set("detail", result.detail);
        checks.emplace_back(std::move(check));
      }
      matrix::JsonObject all;
      all.Set("checks", std::move(checks));
      all.Set("good", !failed);
      PrintJson(all);
    }
    if (!version_) return kExitUnreachable;
    return failed ? kExitRefused : kExitOk;
  }

  const CheckOptions& options_;
  const GlobalOptions& global_;
  const http::Url url_;
  /// Without a slash at the end.
  const std::string base_;
  /// To the very address that was given, whatever certificate it has; and as another server connects.
  http::HttpClient as_told_;
  http::HttpClient as_others_;
  absl::Time asked_, came_;
  std::optional<http::Response> version_;
  std::optional<PublishedKeys> published_;
  std::vector<CheckResult> results_;
};

int Check(const GlobalOptions& global, CheckOptions options) {
  auto url = http::ParseUrl(options.url);
  if (!url.ok()) return FailUsage(url.status());
  if (!options.server_name.empty()) {
    if (const auto name = matrix::ServerName::Parse(options.server_name); !name.ok()) return FailUsage(name.status());
  }
  for (std::string& admin : options.admin_urls) {
    while (admin.ends_with('/')) admin.pop_back();
  }
  return ServerCheck(options, global, *std::move(url)).Run();
}

}  // namespace

void AddCheckCommand(CLI::App& app, CommandLine& line) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* check = app.add_subcommand(
      "check", "whether a homeserver is there, and other servers will find and believe it: a line for each thing");
  check->add_option("--to", options->url, "where it listens, e.g. https://matrix.here.example:8448")
      ->required()
      ->type_name("URL");
  check->add_option("--server-name", options->server_name, "its name; else what it says itself")->type_name("NAME");
  check
      ->add_option("--admin", options->admin_urls,
                   "admin port of a gateway, validator or store whose readiness is asked, e.g. http://127.0.0.1:9093; "
                   "may be repeated")
      ->type_name("URL");
  check->add_option("--federation-ca", options->ca_file, "PEM of further authorities for its certificate");
  check->add_flag("--no-discovery", options->no_discovery, "do not look where other servers go by its name");
  check->footer(R"(
Looks at: reach, version, clock, keys, well-known and discovery (SRV records are not looked up), certificate, ready.
A warning is no failure: something will be wrong, or could not be seen from here.

exit status: 0 nothing failed, 1 something did, 3 the server does not answer

examples:
  posternctl check --to https://matrix.here.example:8448 --server-name here.example
  posternctl --json check --to http://127.0.0.1:8008 --admin http://127.0.0.1:9093 --admin http://127.0.0.1:9091)");
  check->callback([&line, options] { line.chosen = [&line, options] { return Check(line.global, *options); }; });
}

}  // namespace postern::posternctl
