// A DNS server of the test's own, as a process on loopback (played_dns.py).
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace postern::gateway {

class PlayedDns {
 public:
  /// Returns once it can be asked.
  PlayedDns();
  ~PlayedDns();
  PlayedDns(const PlayedDns&) = delete;
  PlayedDns& operator=(const PlayedDns&) = delete;

  /// One for all tests of a program, with nothing in it: Python takes longer to start than most of them last.
  static PlayedDns& Emptied();

  /// "127.0.0.1:40053"
  const std::string& address() const { return address_; }

  /// `records` is JSON: ["127.0.0.2"] for A, AAAA and CNAME, [[priority, weight, port, "target"]] for SRV.
  void Set(std::string_view name, std::string_view type, std::string_view records, int ttl = 300);
  /// One list of records after the other, a question each; the last one stays.
  void SetInTurn(std::string_view name, std::string_view type, std::string_view lists);
  /// The answer to UDP is cut to nothing.
  void SetForTcp(std::string_view name, std::string_view type, std::string_view records);
  void Fail(std::string_view name, std::string_view type, int rcode);
  void Silence(std::string_view name, std::string_view type);

  /// What it was asked since the last call, as "SRV _matrix._tcp.a.example", sorted.
  std::vector<std::string> Asked();

 private:
  std::string Tell(std::string command);

  pid_t pid_ = -1;
  std::FILE* commands_ = nullptr;
  std::FILE* replies_ = nullptr;
  std::string address_;
};

}  // namespace postern::gateway
