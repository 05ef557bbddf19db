// A whole Postern as real processes: what ./dev up starts of this very build, and ./dev down ends.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace postern::flow {

struct StackOptions {
  int gateways = 1;
  /// Lines of YAML for the gateways, which limit nothing without any.
  std::string gateway_settings = {};
  /// Whether the gateways believe any certificate of another server.
  bool insecure_federation_tls = true;
};

/// One process of a service.
struct ServiceProcess {
  std::string service;  // "gateway", "validator", "store"
  pid_t pid;
  std::string grpc;             // address
  std::string admin;            // URL
  std::string federation = {};  // URL; gateways only
  /// How it was started, to be started so again.
  std::vector<std::string> command = {};
  std::vector<std::string> environment = {};
  bool is_child = false;
};

class RunningStack {
 public:
  /// Ready when it returns. Throws if it cannot be had; what `./dev up` says of it is on standard error.
  explicit RunningStack(const StackOptions& options = {});
  ~RunningStack();
  RunningStack(const RunningStack&) = delete;
  RunningStack& operator=(const RunningStack&) = delete;

  const std::string& server_name() const { return server_name_; }
  const std::string& dsn() const { return dsn_; }
  /// Where its signing keys are: signing.key and old_verify_keys.
  std::string state_directory() const { return directory_ + "/state"; }
  const ServiceProcess& gateway(std::size_t number = 0) const { return services_.at("gateway").at(number); }
  const ServiceProcess& validator() const { return services_.at("validator").front(); }
  const ServiceProcess& store() const { return services_.at("store").front(); }
  const std::vector<ServiceProcess>& gateways() const { return services_.at("gateway"); }

  /// Kills a process, and starts it again with the same command line on the ports that it had. Call it from the main
  /// thread: the new process ends with the thread that made it. Returns at once: see WaitUntilReady. `variables`
  /// ("NAME=value") are added to its environment.
  void KillAndRestart(const ServiceProcess& process, const std::vector<std::string>& variables = {});
  void Kill(const ServiceProcess& process);
  void Restart(const ServiceProcess& process);

  /// Until every process says that it is ready. Throws if that takes longer than `patience`.
  void WaitUntilReady(absl::Duration patience = absl::Seconds(60)) const;

 private:
  void ReadDescription(const std::string& json);
  ServiceProcess& Own(const ServiceProcess& process);
  void Down();

  std::string directory_;
  std::string server_name_;
  std::string dsn_;
  std::map<std::string, std::vector<ServiceProcess>> services_;
};

/// Sends a signal to a process that this test started.
void Signal(const ServiceProcess& process, int signal);

/// Waits until every thread of the process has stopped, as SIGSTOP asks: on a busy machine some go on for a while.
void AwaitStop(const ServiceProcess& process);

/// While it lives, the process does nothing, as if its machine stood still.
class Frozen {
 public:
  explicit Frozen(const ServiceProcess& process) : process_(process) {
    Signal(process_, SIGSTOP);
    AwaitStop(process_);
  }
  ~Frozen() { Signal(process_, SIGCONT); }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

 private:
  const ServiceProcess& process_;
};

}  // namespace postern::flow
