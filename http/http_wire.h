// HTTP/1 as it stands on the wire, where it does not depend on the connection: which requests have one clear end, how
// an answer's head is written.
#pragma once

#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <optional>
#include <string>

#include "http/http_message.h"

namespace postern::http {

using WireHead = boost::beast::http::header<true, boost::beast::http::fields>;

/// Why this head is refused although it parses: two readers could see its end, or its host, at two places (RFC
/// 9112, 3.2 and 6.3).
std::optional<std::string> FramingFault(const WireHead& head);

/// Whether the peer waits for "100 Continue" before it sends the body.
bool ExpectsContinue(const WireHead& head);

/// The head as routes see it, without the body.
Request ToRequest(const WireHead& head, bool has_body, const std::string& remote_address);

/// Status line and headers, with Content-Length, Date and Connection, up to and including the empty line. An answer
/// whose body comes in pieces is chunked; in HTTP/1.0 it ends with the connection. An answer to HEAD has its length but
/// no body, which is the caller's to leave out.
std::string FormatHead(const Response& response, bool keep_alive, bool is_http_1_0);

/// What goes before a piece of a chunked body (RFC 9112, 7.1); a line's end goes after it.
std::string ChunkHead(std::size_t bytes);

}  // namespace postern::http
