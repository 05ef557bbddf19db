// What a peer may send, on real sockets: every limit, every timeout, every doubtful framing has its answer.
#include "http/http_listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "tests/http/raw_connection.h"
#include "tests/http/told_handler.h"

namespace postern::http {
namespace {

using std::string_literals::operator""s;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr absl::Duration kShort = absl::Milliseconds(150);

class HttpListenerTest : public testing::Test {
 protected:
  void Start(ListenerOptions options = {}) {
    options.listen = "127.0.0.1:0";
    auto listener = HttpListener::Start(options, handler_);
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
  }
  RawConnection Connect() const { return RawConnection(listener_->port()); }

  ToldHandler handler_;
  std::unique_ptr<HttpListener> listener_;
};

struct WireCase {
  const char* name;
  std::string request;
  int status;
  std::string body;  // of the answer
};

void PrintTo(const WireCase& c, std::ostream* out) { *out << c.name; }
std::string CaseName(const testing::TestParamInfo<WireCase>& info) { return info.param.name; }

class OneRequest : public HttpListenerTest, public testing::WithParamInterface<WireCase> {};

TEST_P(OneRequest, HasItsAnswer) {
  Start();
  RawConnection peer = Connect();
  ASSERT_TRUE(peer.Send(GetParam().request));
  const RawAnswer answer = peer.Receive();
  EXPECT_EQ(answer.status, GetParam().status);
  EXPECT_EQ(answer.body, GetParam().body);
}

INSTANTIATE_TEST_SUITE_P(
    Served, OneRequest,
    testing::ValuesIn(std::to_array<WireCase>({
        {"Get", "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", 200, "GET /a "},
        {"Put", "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody", 200, "PUT /a body"},
        {"EmptyBody", "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 200, "PUT /a "},
        {"Chunked",
         "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nbo\r\n2;ext=1\r\ndy\r\n0\r\n\r\n", 200,
         "PUT /a body"},
        {"Trailer", "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\nX-Late: 1\r\n\r\n",
         200, "PUT /a b"},
        {"TargetAsReceived", "GET /%21a:@b/%2F?q=%20+&r HTTP/1.1\r\nHost: h\r\n\r\n", 200,
         "GET /%21a:@b/%2F?q=%20+&r "},
        {"Http10", "GET /a HTTP/1.0\r\n\r\n", 200, "GET /a "},
        {"UnknownMethod", "BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n", 200, "BREW /pot "},
        {"EmptyLinesBefore", "\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n", 200, "GET /a "},
        {"NobodyAnswers", "GET /drop HTTP/1.1\r\nHost: h\r\n\r\n", 503, "internal"},
        {"HandlerThrows", "GET /throw HTTP/1.1\r\nHost: h\r\n\r\n", 503, "internal"},
        {"UnknownPath", "GET /unknown HTTP/1.1\r\nHost: h\r\n\r\n", 404, "unknown"},
        {"UnknownPathBeforeSize", "PUT /unknown HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n", 404,
         "unknown"},
    })),
    CaseName);

const std::array kMalformed = std::to_array<WireCase>({
    {"NoHost", "GET / HTTP/1.1\r\n\r\n", 400, "malformed_http"},
    {"TwoHosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "malformed_http"},
    {"TwoLengths", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400,
     "malformed_http"},
    {"SameLengthTwice", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400,
     "malformed_http"},
    {"ListOfLengths", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\na", 400, "malformed_http"},
    {"SignedLength", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\na", 400, "malformed_http"},
    {"NegativeLength", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400, "malformed_http"},
    {"HexLength", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x1\r\n\r\na", 400, "malformed_http"},
    {"EmptyLength", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", 400, "malformed_http"},
    {"LengthBeyond64Bits", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551617\r\n\r\na", 400,
     "malformed_http"},
    {"LengthThenChunked",
     "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
     "malformed_http"},
    {"ChunkedThenLength",
     "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400,
     "malformed_http"},
    {"TwoEncodings",
     "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
     "malformed_http"},
    {"OtherEncoding", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400,
     "malformed_http"},
    {"EncodingNearlyChunked", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400,
     "malformed_http"},
    {"ChunkedNotLast", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400,
     "malformed_http"},
    {"Identity", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", 400, "malformed_http"},
    {"ChunkedInHttp10", "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "malformed_http"},
    {"SpaceBeforeColon", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length : 1\r\n\r\na", 400, "malformed_http"},
    {"ControlInName", "GET / HTTP/1.1\r\nHost: h\r\nX\x01Y: 1\r\n\r\n", 400, "malformed_http"},
    {"NulInValue", "GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n"s, 400, "malformed_http"},
    {"LineFeedAlone", "GET / HTTP/1.1\nHost: h\nX: y\r\n\r\n", 400, "malformed_http"},
    {"CarriageReturnAlone", "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", 400, "malformed_http"},
    {"NoVersion", "GET /\r\n\r\n", 400, "malformed_http"},
    {"Http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed_http"},
    {"Garbage", "\x16\x03\x01\x02\x01 hello\r\n\r\n", 400, "malformed_http"},
    {"BadChunkSize", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "malformed_http"},
    {"ChunkLongerThanSaid", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400,
     "malformed_http"},
    {"NegativeChunk", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n", 400,
     "malformed_http"},
});

INSTANTIATE_TEST_SUITE_P(Refused, OneRequest, testing::ValuesIn(kMalformed), CaseName);

class DoubtfulRequest : public OneRequest {};

INSTANTIATE_TEST_SUITE_P(Refused, DoubtfulRequest, testing::ValuesIn(kMalformed), CaseName);

TEST_P(DoubtfulRequest, IsNeverFollowedByASecondOneReadOutOfIt) {
  Start();
  RawConnection peer = Connect();
  peer.Send(GetParam().request + "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
  peer.EndSending();
  const std::string all = peer.ReceiveAll();
  EXPECT_THAT(all, StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(all.find("HTTP/1.1", 1), std::string::npos);
  for (const Request& request : handler_.seen()) EXPECT_NE(request.target, "/smuggled");
}

TEST_F(HttpListenerTest, TellsTheHandlerWhatCame) {
  Start();
  RawConnection peer = Connect();
  peer.Send("PUT /a?b HTTP/1.1\r\nHost: h\r\nAuthorization: one\r\nauthorization:  two \r\nContent-Length: 1\r\n\r\nx");
  ASSERT_EQ(peer.Receive().status, 200);
  const Request request = handler_.seen().at(0);
  EXPECT_THAT(FindHeaders(request.headers, "AUTHORIZATION"), testing::ElementsAre("one", "two"));
  EXPECT_EQ(request.remote_address, "127.0.0.1");
  EXPECT_TRUE(request.has_body);
}

TEST_F(HttpListenerTest, KeepsTheConnection) {
  Start();
  RawConnection peer = Connect();
  for (int i = 0; i < 3; ++i) {
    peer.Send("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
    const RawAnswer answer = peer.Receive();
    EXPECT_EQ(answer.status, 200);
    EXPECT_THAT(answer.head, Not(HasSubstr("Connection:")));
  }
}

TEST_F(HttpListenerTest, ClosesWhenAsked) {
  Start();
  for (const char* request : {"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET /a HTTP/1.0\r\n\r\n"}) {
    RawConnection peer = Connect();
    peer.Send(request);
    EXPECT_THAT(peer.Receive().head, HasSubstr("Connection: close"));
    EXPECT_TRUE(peer.IsClosedByPeer());
  }
  RawConnection old = Connect();
  old.Send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(old.Receive().head, HasSubstr("Connection: keep-alive"));
  old.Send("GET /b HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.Receive().body, "GET /b ");
}

TEST_F(HttpListenerTest, AnswersPipelinedRequestsInOrder) {
  Start();
  RawConnection peer = Connect();
  peer.Send(
      "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPUT /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nxPUT /unknown "
      "HTTP/1.1\r\nHost: h\r\n"
      "Content-Length: 2\r\n\r\nyyGET /4 HTTP/1.1\r\nHost: h\r\n\r\n");
  peer.EndSending();
  EXPECT_EQ(peer.Receive().body, "GET /1 ");
  EXPECT_EQ(peer.Receive().body, "PUT /2 x");
  EXPECT_EQ(peer.Receive().body, "unknown");
  EXPECT_EQ(peer.Receive().body, "GET /4 ");
  EXPECT_TRUE(peer.IsClosedByPeer());
}

TEST_F(HttpListenerTest, SendsNoBodyToHead) {
  Start();
  RawConnection peer = Connect();
  peer.Send("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(peer.Receive(true).head, HasSubstr("Content-Length: 8"));
  EXPECT_EQ(peer.Receive().body, "GET /b ");
}

TEST_F(HttpListenerTest, LetsWaitingPeersSendTheirBody) {
  Start();
  RawConnection peer = Connect();
  peer.Send("PUT /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  EXPECT_EQ(peer.Receive().status, 100);
  peer.Send("x");
  EXPECT_EQ(peer.Receive().body, "PUT /a x");
}

TEST_F(HttpListenerTest, RefusesWaitingPeersWithoutTheirBody) {
  Start();
  for (const char* request :
       {"PUT /unknown HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
        "PUT /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n"}) {
    RawConnection peer = Connect();
    peer.Send(request);
    const RawAnswer answer = peer.Receive();
    EXPECT_GE(answer.status, 400);
    EXPECT_THAT(answer.head, HasSubstr("Connection: close"));
  }
}

TEST_F(HttpListenerTest, AnswersATooLargeBodyWithoutResettingTheConnection) {
  Start({.body_limit_bytes = 1000});
  const std::string large(600 * 1024, 'x');
  for (const std::string& request :
       {"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(large.size()) + "\r\n\r\n" + large,
        "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n96000\r\n" + large + "\r\n0\r\n\r\n"}) {
    RawConnection peer = Connect();
    EXPECT_TRUE(peer.Send(request));
    peer.EndSending();
    EXPECT_EQ(peer.Receive().status, 413);
    EXPECT_TRUE(peer.IsClosedByPeer());
  }
  EXPECT_TRUE(handler_.seen().empty());
}

TEST_F(HttpListenerTest, TakesABodyOfExactlyTheLimit) {
  Start({.body_limit_bytes = 1000});
  const std::string body(1000, 'x');
  RawConnection peer = Connect();
  peer.Send("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + body);
  EXPECT_EQ(peer.Receive().status, 200);
  peer.Send("PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1F4\r\n" + body.substr(500) +
            "\r\n1f4\r\n" + body.substr(500) + "\r\n0\r\n\r\n");
  EXPECT_EQ(peer.Receive().status, 200);
  peer.Send("PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n" + body.substr(500) +
            "\r\n1f5\r\nx" + body.substr(500) + "\r\n0\r\n\r\n");
  EXPECT_EQ(peer.Receive().status, 413);
}

std::string LengthAndBody(std::size_t size) {
  return "Content-Length: " + std::to_string(size) + "\r\n\r\n" + std::string(size, 'x');
}

TEST_F(HttpListenerTest, TakesALargerBodyWhereTheHandlerSaysSo) {
  Start({.body_limit_bytes = 1000});
  for (const std::string& big : {LengthAndBody(1'000'000), "Transfer-Encoding: chunked\r\n\r\nf4240\r\n" +
                                                               std::string(1'000'000, 'x') + "\r\n0\r\n\r\n"}) {
    RawConnection peer = Connect();
    peer.Send("PUT /big HTTP/1.1\r\nHost: h\r\n" + big);
    EXPECT_EQ(peer.Receive().status, 200);
    peer.Send("PUT /a HTTP/1.1\r\nHost: h\r\n" + LengthAndBody(1000));
    EXPECT_EQ(peer.Receive().status, 200) << "and goes on";
    EXPECT_EQ(handler_.seen()[handler_.seen().size() - 2].body, std::string(1'000'000, 'x'));
  }
  for (const std::string& request : {"PUT /big HTTP/1.1\r\nHost: h\r\n" + LengthAndBody(1'000'001),
                                     "PUT /big HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nf4241\r\n" +
                                         std::string(1'000'001, 'x') + "\r\n0\r\n\r\n",
                                     "PUT /other HTTP/1.1\r\nHost: h\r\n" + LengthAndBody(1001)}) {
    RawConnection peer = Connect();
    peer.Send(request);
    EXPECT_EQ(peer.Receive().status, 413);
  }
}

TEST_F(HttpListenerTest, LargerBodiesShareTheirMemoryUntilTheirRequestsAreGone) {
  Start({.body_limit_bytes = 1000, .large_bodies_bytes = 1'500'000});
  RawConnection first = Connect(), second = Connect(), small = Connect();
  first.Send("PUT /hold-big HTTP/1.1\r\nHost: h\r\n" + LengthAndBody(900'000));
  handler_.AwaitHeld();
  second.Send("PUT /big HTTP/1.1\r\nHost: h\r\n" + LengthAndBody(900'000));
  EXPECT_EQ(second.Receive().status, 503);
  small.Send("PUT /big HTTP/1.1\r\nHost: h\r\n" + LengthAndBody(600'000));
  EXPECT_EQ(small.Receive().status, 200) << "there is room for it";
  small.Send("PUT /big HTTP/1.1\r\nHost: h\r\n" + LengthAndBody(1000));
  EXPECT_EQ(small.Receive().status, 200) << "of the usual size";
  handler_.Release();
  EXPECT_EQ(first.Receive().status, 200);
  RawConnection again = Connect();
  again.Send("PUT /big HTTP/1.1\r\nHost: h\r\n" + LengthAndBody(900'000));
  EXPECT_EQ(again.Receive().status, 200);
}

TEST_F(HttpListenerTest, ABodyThatIsOnlyAnnouncedTakesNoMemory) {
  Start({.body_limit_bytes = 1000, .large_bodies_bytes = 1'000'000});
  std::vector<std::unique_ptr<RawConnection>> slow;
  for (int i = 0; i < 10; ++i) {
    slow.push_back(std::make_unique<RawConnection>(listener_->port()));
    slow.back()->Send("PUT /big HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nxxx");
  }
  RawConnection peer = Connect();
  peer.Send("PUT /big HTTP/1.1\r\nHost: h\r\n" + LengthAndBody(900'000));
  EXPECT_EQ(peer.Receive().status, 200);
}

TEST_F(HttpListenerTest, StopsReadingWhatIsFarTooLarge) {
  Start({.body_limit_bytes = 1000, .drain_limit_bytes = 64 * 1024});
  RawConnection peer = Connect();
  peer.Send("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n");
  const std::string piece(1 << 20, 'x');
  int pieces = 0;
  while (pieces < 1000 && peer.Send(piece)) ++pieces;
  EXPECT_LT(pieces, 100);
}

TEST_F(HttpListenerTest, RefusesHeadersBeyondTheLimit) {
  Start({.header_limit_bytes = 4096});
  const std::string filler(5000, 'a');
  for (const std::string& request :
       {"GET /" + filler + " HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nX: " + filler + "\r\n\r\n",
        "GET / HTTP/1.1\r\nX: " + std::string(200000, 'b')}) {
    RawConnection peer = Connect();
    peer.Send(request);
    EXPECT_EQ(peer.Receive().status, 431);
    peer.EndSending();
    EXPECT_TRUE(peer.IsClosedByPeer());
  }
}

TEST_F(HttpListenerTest, RefusesEndlessTrailersAndChunkExtensions) {
  Start();
  for (const std::string& rest : {"0\r\nX: " + std::string(400000, 'b'), "1;" + std::string(400000, 'b')}) {
    RawConnection peer = Connect();
    peer.Send("PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + rest);
    peer.EndSending();
    const int status = peer.Receive().status;
    EXPECT_TRUE(status == 431 || status == 400 || status == 413) << status;
  }
}

TEST_F(HttpListenerTest, AnswersHalfARequest408) {
  Start({.read_timeout = kShort});
  for (const char* half : {"GET /a HTTP/1.1\r\nHo", "G", "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf",
                           "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"}) {
    RawConnection peer = Connect();
    peer.Send(half);
    EXPECT_EQ(peer.Receive().status, 408) << half;
    EXPECT_TRUE(peer.IsClosedByPeer());
  }
}

TEST_F(HttpListenerTest, AnswersARequestThatEndsHalfway400) {
  Start();
  RawConnection peer = Connect();
  peer.Send("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
  peer.EndSending();
  EXPECT_EQ(peer.Receive().status, 400);
}

TEST_F(HttpListenerTest, CountsTheReadTimeoutFromTheFirstByte) {
  Start({.read_timeout = kShort});
  RawConnection peer = Connect();
  std::atomic<bool> answered = false;
  std::thread dripping([&peer, &answered] {
    // Until it is answered: a time that is counted from the last byte never is over.
    for (std::string_view bytes = "GET /"; !answered && peer.Send(bytes); bytes = "a") {
      absl::SleepFor(absl::Milliseconds(20));  // the slowness is what is tested
    }
  });
  EXPECT_EQ(peer.Receive().status, 408);
  answered = true;
  dripping.join();
}

TEST_F(HttpListenerTest, ClosesWhoeverSaysNothing) {
  Start({.read_timeout = kShort, .idle_timeout = kShort});
  RawConnection silent = Connect();
  EXPECT_TRUE(silent.IsClosedByPeer());
  RawConnection served = Connect();
  served.Send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(served.Receive().status, 200);
  EXPECT_TRUE(served.IsClosedByPeer());
}

TEST_F(HttpListenerTest, LeavesWhoeverReadsNothing) {
  Start({.write_timeout = kShort});
  RawConnection peer = Connect();
  peer.Send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
  const absl::Time begin = absl::Now();
  while (handler_.seen().empty()) std::this_thread::yield();
  listener_->Shutdown(absl::InfiniteFuture());
  EXPECT_LT(absl::Now() - begin, absl::Seconds(5));
}

TEST_F(HttpListenerTest, WritesABodyThatComesInPieces) {
  Start();
  RawConnection peer = Connect();
  for (int i = 0; i < 2; ++i) {  // the connection lives on
    peer.Send("GET /pieces HTTP/1.1\r\nHost: h\r\n\r\n");
    const std::string wire = peer.ReadUntil("0\r\n\r\n");
    EXPECT_THAT(wire, HasSubstr("\r\nTransfer-Encoding: chunked\r\n"));
    EXPECT_THAT(wire, Not(HasSubstr("Content-Length")));
    EXPECT_THAT(wire, testing::EndsWith("\r\n\r\n4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n"));
  }
  peer.Send("GET /pieces/empty HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(peer.ReadUntil("0\r\n\r\n"), testing::EndsWith("\r\n\r\n0\r\n\r\n"));
  peer.Send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(peer.Receive().status, 200);
}

TEST_F(HttpListenerTest, EndsPiecesForAnOldPeerByClosing) {
  Start();
  RawConnection peer = Connect();
  peer.Send("GET /pieces HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n");
  const std::string wire = peer.ReadUntil("three");
  EXPECT_THAT(wire, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_THAT(wire, Not(HasSubstr("chunked")));
  EXPECT_THAT(wire, testing::EndsWith("\r\n\r\none two three"));
  EXPECT_TRUE(peer.IsClosedByPeer());
}

TEST_F(HttpListenerTest, CutsTheConnectionWherePiecesBreakOff) {
  Start();
  for (const char* target : {"/broken", "/lost"}) {
    RawConnection peer = Connect();
    peer.Send(std::string("GET ") + target + " HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_THAT(peer.ReadUntil("0\r\n\r\n"), testing::EndsWith("4\r\none \r\n"));
    EXPECT_TRUE(peer.IsClosedByPeer());
  }
}

TEST_F(HttpListenerTest, AsksForNoMorePiecesThanThePeerReads) {
  Start({.write_timeout = absl::Seconds(1)});
  RawConnection peer = Connect();
  peer.Send("GET /endless HTTP/1.1\r\nHost: h\r\n\r\n");
  while (handler_.pieces() == 0) std::this_thread::yield();
  listener_->Shutdown(absl::InfiniteFuture());  // until the peer, who reads nothing, is left
  EXPECT_LT(handler_.pieces(), 20);             // what the sockets hold
}

TEST_F(HttpListenerTest, KeepsAHeaderOneLine) {
  Start();
  RawConnection peer = Connect();
  peer.Send("GET /inject HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(peer.Receive().head, Not(HasSubstr("\r\nX-Forged")));
}

TEST_F(HttpListenerTest, MakesRoomByClosingWhoeverWaits) {
  Start({.max_connections = 2});
  RawConnection first = Connect(), second = Connect();
  first.Send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(first.Receive().status, 200);
  second.Send("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
  handler_.AwaitHeld();
  RawConnection third = Connect();
  third.Send("GET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(first.IsClosedByPeer());
  EXPECT_EQ(third.Receive().body, "GET /3 ");
  handler_.Release();
  EXPECT_EQ(second.Receive().body, "released");
}

TEST_F(HttpListenerTest, AnswersWhatIsInFlightBeforeItEnds) {
  Start();
  RawConnection busy = Connect(), idle = Connect();
  idle.Send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(idle.Receive().status, 200);
  busy.Send("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
  handler_.AwaitHeld();
  std::thread ending([this] { listener_->Shutdown(absl::InfiniteFuture()); });
  EXPECT_TRUE(idle.IsClosedByPeer());
  handler_.Release();
  const RawAnswer answer = busy.Receive();
  EXPECT_EQ(answer.body, "released");
  EXPECT_THAT(answer.head, HasSubstr("Connection: close"));
  EXPECT_TRUE(busy.IsClosedByPeer());
  ending.join();
}

TEST_F(HttpListenerTest, CutsWhatIsStillInFlightAtTheDeadline) {
  Start();
  RawConnection busy = Connect();
  busy.Send("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
  handler_.AwaitHeld();
  listener_->Shutdown(absl::Now() + kShort);
  EXPECT_EQ(busy.Receive().status, 0);
  listener_.reset();
  handler_.Release();  // answers into nothing, which must be harmless
}

TEST_F(HttpListenerTest, ServesManyAtOnce) {
  Start({.io_threads = 4});
  std::vector<std::thread> peers;
  for (int i = 0; i < 16; ++i) {
    peers.emplace_back([this, i] {
      RawConnection peer = Connect();
      const std::string body(static_cast<std::size_t>(i) * 500, 'x');
      for (int j = 0; j < 50; ++j) {
        peer.Send("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
        ASSERT_EQ(peer.Receive().body, "PUT /a " + body);
      }
    });
  }
  for (std::thread& peer : peers) peer.join();
}

struct ListenCase {
  const char* name;
  const char* listen;
  const char* certificate;
};

class CannotListen : public testing::TestWithParam<ListenCase> {};

TEST_P(CannotListen, SaysSo) {
  ToldHandler handler;
  const auto listener =
      HttpListener::Start({.listen = GetParam().listen, .certificate_file = GetParam().certificate}, handler);
  EXPECT_EQ(listener.status().code(), absl::StatusCode::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(Listen, CannotListen,
                         testing::ValuesIn(std::to_array<ListenCase>({
                             {"NoPort", "127.0.0.1", ""},
                             {"PortNoNumber", "127.0.0.1:http", ""},
                             {"PortTooLarge", "127.0.0.1:65536", ""},
                             {"NoAddress", "nowhere.invalid:1", ""},
                             {"AddressOfAnother", "203.0.113.1:0", ""},
                             {"NoCertificate", "127.0.0.1:0", "/nonexistent.pem"},
                         })),
                         [](const auto& c) { return std::string(c.param.name); });

TEST(HttpListener, DoesNotShareItsPort) {
  ToldHandler handler;
  const auto first = HttpListener::Start({.listen = "127.0.0.1:0"}, handler);
  ASSERT_TRUE(first.ok());
  EXPECT_FALSE(HttpListener::Start({.listen = "127.0.0.1:" + std::to_string((*first)->port())}, handler).ok());
}

}  // namespace
}  // namespace postern::http
