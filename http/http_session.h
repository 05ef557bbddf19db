// One connection of a listener: requests read and answered one after another, until somebody closes.
#pragma once

#include <atomic>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <functional>
#include <memory>
#include <set>
#include <thread>

#include "http/http_listener.h"
#include "http/large_bodies.h"

namespace postern::http {

using Executor = boost::asio::io_context::executor_type;
using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;

/// Everything here happens on the connection's own I/O thread.
class Session {
 public:
  virtual ~Session() = default;
  /// Ends it if it waits between two requests; while draining, also if it waits for its first.
  virtual void CloseIfIdle() = 0;
  /// Ends it whatever it does.
  virtual void Cut() = 0;
};

/// A thread and the connections that live on it. No connection moves, so that none needs a lock.
struct IoThread {
  boost::asio::io_context context{1};
  boost::asio::executor_work_guard<Executor> work{context.get_executor()};
  std::set<Session*> sessions;  // touched on this thread only
  std::thread thread;
};

/// What all connections of a listener share.
struct SessionSurroundings {
  ListenerOptions options;
  RequestHandler& handler;
  std::atomic<bool> draining{false};  // the listener ends: no further requests
  std::atomic<bool> crowded{false};   // somebody waits for room: no further requests from whoever has had one
  std::atomic<bool> cutting{false};   // the deadline is over: also for whoever has just been accepted
  LargeBodies large_bodies;
  std::function<void()> on_end;  // called on the connection's I/O thread, once for each StartSession
};

/// Serves `socket`, whose executor is that of `io`, from now on; over TLS if `tls` is given. Call on the thread of
/// `io`.
void StartSession(std::shared_ptr<IoThread> io, Socket socket, std::shared_ptr<boost::asio::ssl::context> tls,
                  std::shared_ptr<SessionSurroundings> surroundings);

}  // namespace postern::http
