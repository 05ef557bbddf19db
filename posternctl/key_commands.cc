// posternctl key: this server's signing keys, what is held of other servers' keys, and the key endpoint of a played
// server.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <filesystem>
#include <iostream>
#include <memory>

#include "absl/time/clock.h"
#include "matrix/base64.h"
#include "matrix/refusal.h"
#include "posternctl/commands.h"
#include "posternctl/connection.h"
#include "posternctl/input_file.h"
#include "posternctl/key_rotation.h"
#include "posternctl/peer/key_endpoint.h"
#include "posternctl/peer/server_identity.h"
#include "posternctl/report.h"
#include "posternctl/secret_file.h"
#include "rpc/process_lifetime.h"

namespace postern::posternctl {
namespace {

using Holding = gateway::v1::ShowServerKeysResponse::Holding;

struct KeyOptions {
  std::string output;
  std::string key_id;
  std::string file;
  std::string old_keys_file;
  std::string server_name;
  std::string listen;
  int grace_minutes = 10;
  bool reload = true;
};

matrix::JsonObject Describe(const matrix::SigningKey& key) {
  matrix::JsonObject description;
  description.Set("key_id", key.key_id());
  description.Set("public_key", matrix::EncodeBase64(key.public_key()));
  return description;
}

int Generate(const GlobalOptions& global, const KeyOptions& options) {
  std::string seed;
  const auto key = peer::GenerateKey(options.key_id, &seed);
  if (!key.ok()) return Fail(key.status());
  const std::string line = peer::KeyFileLine(key->key_id(), seed);
  if (options.output.empty()) {
    std::cout << line << '\n';
    return kExitOk;
  }
  const absl::Status written = WriteNewSecret(options.output, line + "\n");
  if (!written.ok()) return Fail(written);
  if (global.json) {
    PrintJson(Describe(*key));
  } else {
    PrintFields(
        {{"file", options.output}, {"key id", key->key_id()}, {"public key", matrix::EncodeBase64(key->public_key())}});
  }
  return kExitOk;
}

int ShowFile(const GlobalOptions& global, const KeyOptions& options) {
  const auto keys = peer::ReadKeyFile(options.file);
  if (!keys.ok()) return FailUsage(keys.status());
  matrix::JsonArray described;
  std::vector<std::vector<std::string>> rows;
  for (const auto& key : *keys) {
    described.emplace_back(Describe(key));
    rows.push_back({key.key_id(), matrix::EncodeBase64(key.public_key())});
  }
  if (global.json) {
    PrintJson(std::move(described));
  } else {
    PrintTable({"KEY ID", "PUBLIC KEY"}, rows);
  }
  return kExitOk;
}

matrix::JsonObject Describe(const Holding& holding) {
  matrix::JsonArray keys;
  for (const auto& key : holding.keys()) {
    matrix::JsonObject described;
    described.Set("key_id", key.key_id());
    described.Set("public_key", matrix::EncodeBase64(key.public_key()));
    if (key.has_expired_ms()) described.Set("expired_ts", key.expired_ms());
    keys.emplace_back(std::move(described));
  }
  matrix::JsonObject held;
  held.Set("from", holding.from());
  held.Set("fetched_at", holding.fetched_at_ms());
  held.Set("valid_until", holding.valid_until_ms());
  held.Set("keys", std::move(keys));
  return held;
}

void AddRows(const std::string& where, const Holding& holding, std::vector<std::vector<std::string>>& rows) {
  for (const auto& key : holding.keys()) {
    rows.push_back(
        {Printable(key.key_id()), matrix::EncodeBase64(key.public_key()), where, Printable(holding.from()),
         TimeText(holding.fetched_at_ms()),
         key.has_expired_ms() ? "old, until " + TimeText(key.expired_ms()) : TimeText(holding.valid_until_ms())});
  }
}

int ShowServer(const GlobalOptions& global, const KeyOptions& options) {
  gateway::v1::ShowServerKeysRequest request;
  request.set_server_name(options.server_name);
  const auto held = CallGateway(global, &gateway::v1::Admin::Stub::ShowServerKeys, request);
  if (!held.ok()) return Fail(held.status());
  if (global.json) {
    matrix::JsonObject shown;
    if (held->has_in_memory()) shown.Set("gateway", Describe(held->in_memory()));
    if (held->has_in_store()) shown.Set("store", Describe(held->in_store()));
    if (!held->last_error().empty()) shown.Set("last_error", held->last_error());
    if (held->no_fetch_before_ms() != 0) shown.Set("no_fetch_before", held->no_fetch_before_ms());
    PrintJson(std::move(shown));
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  if (held->has_in_memory()) AddRows("gateway", held->in_memory(), rows);
  if (held->has_in_store()) AddRows("store", held->in_store(), rows);
  if (rows.empty()) {
    std::cout << "no keys of " << Printable(options.server_name) << " are held\n";
  } else {
    PrintTable({"KEY ID", "PUBLIC KEY", "HELD BY", "FROM", "FETCHED", "GOOD UNTIL"}, rows);
  }
  if (!held->last_error().empty()) std::cout << "last fetch failed: " << Printable(held->last_error()) << '\n';
  if (held->no_fetch_before_ms() != 0) {
    std::cout << "nobody is asked before " << TimeText(held->no_fetch_before_ms()) << '\n';
  }
  return kExitOk;
}

int Show(const GlobalOptions& global, const KeyOptions& options) {
  if (options.file.empty() == options.server_name.empty()) {
    return FailUsage(matrix::Refuse(matrix::Reason::kInvalidArgument, "key show: a server's name, or --file"));
  }
  return options.file.empty() ? ShowServer(global, options) : ShowFile(global, options);
}

int Forget(const GlobalOptions& global, const KeyOptions& options) {
  gateway::v1::ForgetServerKeysRequest request;
  request.set_server_name(options.server_name);
  const auto forgotten = CallGateway(global, &gateway::v1::Admin::Stub::ForgetServerKeys, request);
  if (!forgotten.ok()) return Fail(forgotten.status());
  if (global.json) {
    PrintJson(matrix::JsonObject());
  } else {
    std::cout << "forgotten; the next request of " << Printable(options.server_name) << " has them fetched anew\n";
  }
  return kExitOk;
}

/// The old keys first: a key that stands in both files is in use, so that nothing is lost if it ends in between.
absl::Status WriteRotated(const KeyOptions& options, std::string_view new_line, absl::Time expired) {
  KeyFiles files;
  const auto keys = ReadWhole(options.file);
  if (!keys.ok()) return keys.status();
  files.keys = *keys;
  if (std::filesystem::exists(options.old_keys_file)) {
    const auto old_keys = ReadWhole(options.old_keys_file);
    if (!old_keys.ok()) return old_keys.status();
    files.old_keys = *old_keys;
  }
  const auto rotated = Rotate(files, new_line, expired);
  if (!rotated.ok()) return rotated.status();
  if (absl::Status status = ReplaceSecret(options.old_keys_file, rotated->old_keys); !status.ok()) return status;
  return ReplaceSecret(options.file, rotated->keys);
}

int RotateKey(const GlobalOptions& global, const KeyOptions& options) {
  std::string seed;
  const auto key = peer::GenerateKey(options.key_id, &seed);
  if (!key.ok()) return FailUsage(key.status());
  const absl::Time expired = absl::Now() + absl::Minutes(options.grace_minutes);
  const absl::Status written = WriteRotated(options, peer::KeyFileLine(key->key_id(), seed), expired);
  if (!written.ok()) return FailUsage(written);
  std::string signing = "a gateway signs with it once it reads its files again";
  if (options.reload) {
    const auto reloaded =
        CallGateway(global, &gateway::v1::Admin::Stub::ReloadSigningKeys, gateway::v1::ReloadSigningKeysRequest());
    if (!reloaded.ok()) return Fail(reloaded.status());
    if (reloaded->key_id() != key->key_id()) {
      return Fail(matrix::Refuse(
          matrix::Reason::kInvalidArgument,
          fmt::format("the gateway signs with {}: it reads other files than these", Printable(reloaded->key_id()))));
    }
    signing = "the gateway signs with it";
  }
  if (global.json) {
    matrix::JsonObject rotated = Describe(*key);
    rotated.Set("old_key_expires", absl::ToUnixMillis(expired));
    PrintJson(std::move(rotated));
  } else {
    PrintFields({{"key id", key->key_id()},
                 {"public key", matrix::EncodeBase64(key->public_key())},
                 {"now", signing},
                 {"old key", "good for events until " + TimeText(absl::ToUnixMillis(expired))}});
  }
  return kExitOk;
}

int Serve(const GlobalOptions& global, const KeyOptions& options) {
  rpc::BlockSignals();
  auto name = matrix::ServerName::Parse(options.server_name);
  if (!name.ok()) return FailUsage(name.status());
  auto keys = peer::ReadKeyFile(options.file);
  if (!keys.ok()) return FailUsage(keys.status());
  const peer::ServerIdentity identity(*std::move(name), *std::move(keys));
  std::string listen = options.listen;
  if (listen.empty()) listen = peer::LoopbackAddressOf(identity.server_name());
  if (listen.empty()) listen = "127.0.0.1:0";
  const auto endpoint = peer::KeyEndpoint::Start(identity, listen);
  if (!endpoint.ok()) return Fail(endpoint.status());
  const std::string url =
      fmt::format("https://{}:{}/_matrix/key/v2/server", listen.substr(0, listen.rfind(':')), (*endpoint)->port());
  if (global.json) {
    matrix::JsonObject serving;
    serving.Set("url", url);
    serving.Set("server_name", identity.name());
    serving.Set("key_id", identity.key().key_id());
    PrintJson(std::move(serving));
  } else {
    PrintFields({{"serving", url}, {"server name", identity.name()}, {"key id", identity.key().key_id()}});
  }
  std::cout.flush();
  rpc::WaitForEnd([] {});
  return kExitOk;
}

}  // namespace

void AddKeyCommands(CLI::App& app, CommandLine& line) {
  auto options = std::make_shared<KeyOptions>();
  CLI::App* group =
      app.add_subcommand("key", "signing keys, other servers' keys, and the key endpoint of a played server")
          ->require_subcommand(1);

  CLI::App* generate = group->add_subcommand("generate", "make an ed25519 key, in the format that homeservers read");
  generate->add_option("--output,--out", options->output,
                       "write it to this new file, mode 0600; else to standard output");
  generate->add_option("--id", options->key_id, "its id, e.g. ed25519:a_1; else a random one");
  generate->footer("\nexamples:\n  posternctl key generate --output signing.key\n  posternctl key generate > bob.key");
  generate->callback([options, &line] { line.chosen = [options, &line] { return Generate(line.global, *options); }; });

  CLI::App* show = group->add_subcommand("show", "what is held of another server's keys and where each came from");
  show->add_option("SERVER", options->server_name, "the server");
  show->add_option("--file", options->file, "ids and public keys of this key file instead");
  show->footer("\nexamples:\n  posternctl key show matrix.example\n  posternctl key show --file signing.key");
  show->callback([options, &line] { line.chosen = [options, &line] { return Show(line.global, *options); }; });

  CLI::App* forget = group->add_subcommand("forget", "drop what a gateway and the store hold of another server's keys");
  forget->add_option("SERVER", options->server_name, "the server")->required();
  forget->footer(
      "\nexample:\n  posternctl key forget reinstalled.example\nAsk each gateway: what they have in memory is their "
      "own.");
  forget->callback([options, &line] { line.chosen = [options, &line] { return Forget(line.global, *options); }; });

  CLI::App* rotate = group->add_subcommand("rotate", "sign with a new key; the old one goes to old_verify_keys");
  rotate->add_option("--key", options->file, "the gateway's signing_key_file")->required();
  rotate->add_option("--old-keys", options->old_keys_file, "its old_verify_keys_file")->required();
  rotate->add_option("--id", options->key_id, "the new key's id, e.g. ed25519:a_2; else a random one");
  rotate->add_option("--grace", options->grace_minutes, "minutes that the old key may still sign, for other gateways")
      ->check(CLI::Range(0, 7 * 24 * 60))
      ->capture_default_str();
  rotate->add_flag("!--no-reload", options->reload, "leave it to the gateways to read their files (SIGHUP)");
  rotate->footer(
      "\nexamples:\n  posternctl key rotate --key signing.key --old-keys old_verify_keys\n"
      "  posternctl key rotate --key signing.key --old-keys old_verify_keys --no-reload --grace 60\n"
      "Both files are replaced whole. Other servers learn of it with the first request that the new key signs.");
  rotate->callback([options, &line] { line.chosen = [options, &line] { return RotateKey(line.global, *options); }; });

  CLI::App* serve = group->add_subcommand(
      "serve", "be a remote homeserver's key endpoint (HTTPS, self-signed certificate) until SIGTERM");
  serve->add_option("--server-name", options->server_name, "the server that is played, e.g. localhost:8448")
      ->required();
  serve->add_option("--key", options->file, "its key file")->required();
  serve->add_option("--listen", options->listen, "where; else the name's own port on loopback, else any free port");
  serve->footer(
      "\nexample:\n  posternctl key serve --server-name localhost:8448 --key bob.key\n"
      "The gateway must believe the certificate (--insecure-federation-tls) and reach the address\n"
      "(--allow-private-networks).");
  serve->callback([options, &line] { line.chosen = [options, &line] { return Serve(line.global, *options); }; });
}

}  // namespace postern::posternctl
