// A picture of a part of a room's graph, in Graphviz's language: time goes down, verdicts by colour.
#pragma once

#include <set>
#include <string>

#include "postern/store/v1/store.pb.h"

namespace postern::posternctl {

struct GraphPicture {
  /// The events to draw, in the order of their depth.
  store::v1::Neighbourhood neighbourhood;
  std::string room_id;
  std::string room_version;
  /// Those that the picture is about: drawn with a heavy border, and with their auth edges.
  std::set<std::string> in_question;
  /// The one among them that is in no store, only judged; or "".
  std::string judged_only;
};

/// DOT text. The same picture gives the same text. Solid edges lead to prev events, dashed ones to auth events; an
/// event that one in question cites and that is not given is drawn as not known. Whatever strangers wrote is escaped.
std::string DrawGraph(const GraphPicture& picture);

}  // namespace postern::posternctl
