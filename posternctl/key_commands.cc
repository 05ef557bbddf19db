// posternctl key: signing keys, and the key endpoint of a played server.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <memory>

#include "matrix/base64.h"
#include "matrix/refusal.h"
#include "posternctl/commands.h"
#include "posternctl/peer/key_endpoint.h"
#include "posternctl/peer/server_identity.h"
#include "posternctl/report.h"
#include "rpc/process_lifetime.h"

namespace postern::posternctl {
namespace {

struct KeyOptions {
  std::string output;
  std::string key_id;
  std::string file;
  std::string server_name;
  std::string listen;
};

// Never over a file that is there: it may be the only copy of a key.
absl::Status WriteNewSecret(const std::string& path, const std::string& text) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return matrix::Refuse(matrix::Reason::kInvalidArgument, fmt::format("{}: {}", path, std::strerror(errno)));
  }
  const bool written =
      write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(descriptor) == 0;
  if (close(descriptor) != 0 || !written) {
    return matrix::Refuse(matrix::Reason::kInvalidArgument, fmt::format("{}: could not be written", path));
  }
  return absl::OkStatus();
}

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

int Show(const GlobalOptions& global, const KeyOptions& options) {
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
      app.add_subcommand("key", "signing keys, and the key endpoint of a played server")->require_subcommand(1);

  CLI::App* generate = group->add_subcommand("generate", "make an ed25519 key, in the format that homeservers read");
  generate->add_option("--output,--out", options->output,
                       "write it to this new file, mode 0600; else to standard output");
  generate->add_option("--id", options->key_id, "its id, e.g. ed25519:a_1; else a random one");
  generate->footer("\nexamples:\n  posternctl key generate --output signing.key\n  posternctl key generate > bob.key");
  generate->callback([options, &line] { line.chosen = [options, &line] { return Generate(line.global, *options); }; });

  CLI::App* show = group->add_subcommand("show", "ids and public keys of a key file");
  show->add_option("FILE", options->file, "the key file")->required();
  show->footer("\nexample:\n  posternctl key show signing.key");
  show->callback([options, &line] { line.chosen = [options, &line] { return Show(line.global, *options); }; });

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
