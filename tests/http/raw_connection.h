// A client that says exactly what a test wants said, in pieces if it likes, and tells what came back.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace postern::http {

struct RawAnswer {
  int status = 0;  // 0: none came
  std::string head;
  std::string body;
};

class RawConnection {
 public:
  /// Waits for what is to come for at most `patience`.
  explicit RawConnection(int port, std::chrono::milliseconds patience = std::chrono::seconds(10));
  ~RawConnection();
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  /// False once the peer has closed.
  bool Send(std::string_view text);
  void EndSending();
  /// The next answer, with as much of a body as its Content-Length says (none for `to_head`).
  RawAnswer Receive(bool to_head = false);
  /// Whether the peer closes, without a reset, and sends nothing more before it does.
  bool IsClosedByPeer();
  /// What comes up to `end`, or until the peer closes.
  std::string ReadUntil(std::string_view end);
  /// How many bytes come until the peer closes, and the last of them.
  std::size_t SkipAll(std::string& last);
  /// All that comes until the peer closes.
  std::string ReceiveAll();

 private:
  bool ReadMore();

  const std::chrono::milliseconds patience_;
  int socket_ = -1;
  std::string received_;
  bool was_reset_ = false;
};

}  // namespace postern::http
