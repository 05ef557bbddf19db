#include "posternctl/graph_drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>

#include "posternctl/event_words.h"
#include "posternctl/report.h"

namespace postern::posternctl {
namespace {

using store::v1::NeighbourEvent;

constexpr std::size_t kLongestId = 16;
constexpr std::size_t kLongestLine = 44;

struct Colours {
  std::string_view fill;
  std::string_view border;
};

struct Verdict {
  matrix::v1::Outcome outcome;
  std::string_view name;
  Colours colours;
};
constexpr std::array kVerdicts{
    Verdict{matrix::v1::OUTCOME_ACCEPTED, "accepted", {"#dcf2e1", "#2f7d4b"}},
    Verdict{matrix::v1::OUTCOME_SOFT_FAILED, "soft-failed", {"#fdeec6", "#b27a10"}},
    Verdict{matrix::v1::OUTCOME_REJECTED, "rejected", {"#fadadb", "#b3353c"}},
    Verdict{matrix::v1::OUTCOME_INVALID, "invalid", {"#e9dcf3", "#6d4595"}},
};
constexpr Colours kNotKnown{"#ffffff", "#8a8a8a"};

Colours ColoursOf(matrix::v1::Outcome outcome) {
  const auto verdict = std::ranges::find(kVerdicts, outcome, &Verdict::outcome);
  return verdict == kVerdicts.end() ? kNotKnown : verdict->colours;
}

/// For text inside of HTML-like labels and quoted attributes alike.
std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : Printable(text)) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\\':
        escaped += "&#92;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string Line(std::string_view text) { return Escaped(Shortened(Printable(text), kLongestLine)); }

/// What the event is, in one bold line: the membership of a member event, the type of any other.
std::string Title(const NeighbourEvent& event) {
  if (event.type().empty()) return "(not kept)";
  return event.membership().empty() ? Line(event.type()) : Line(event.membership());
}

/// Whom it is about and by whom.
std::string Parties(const NeighbourEvent& event) {
  if (!event.has_state_key() || event.state_key().empty()) return Line(event.sender());
  if (event.state_key() == event.sender()) return Line(event.sender());
  return event.sender().empty() ? Line(event.state_key())
                                : fmt::format("{}<br/>by {}", Line(event.state_key()), Line(event.sender()));
}

std::string Label(const NeighbourEvent& event, bool judged_only) {
  std::string label = fmt::format("<b>{}</b>", Title(event));
  if (const std::string parties = Parties(event); !parties.empty()) label += "<br/>" + parties;
  std::string last = Escaped(Shortened(Printable(event.event_id()), kLongestId));
  if (!event.type().empty()) last += fmt::format(", depth {}", event.depth());
  if (judged_only) last += ", not stored";
  return fmt::format("{}<br/><font point-size=\"9\" color=\"#5b6470\">{}</font>", label, last);
}

class Drawing {
 public:
  explicit Drawing(const GraphPicture& picture) : picture_(picture) {
    for (const NeighbourEvent& event : picture_.neighbourhood.events()) {
      names_.emplace(event.event_id(), fmt::format("e{}", names_.size()));
    }
  }

  std::string Text() && {
    Begin();
    for (const NeighbourEvent& event : picture_.neighbourhood.events()) AddNode(event);
    for (const NeighbourEvent& event : picture_.neighbourhood.events()) AddEdges(event);
    text_ += "}\n";
    return std::move(text_);
  }

 private:
  bool InQuestion(const std::string& event_id) const { return picture_.in_question.contains(event_id); }

  void Begin() {
    text_ += fmt::format(
        "digraph \"{0}\" {{\n"
        "  graph [rankdir=BT, nodesep=0.35, ranksep=0.45, pad=0.3, bgcolor=\"white\", fontname=\"Helvetica\", "
        "fontsize=10, fontcolor=\"#3a424d\", labelloc=b, tooltip=\"{0}\", label=<{1}>]\n"
        "  node [shape=box, style=\"filled,rounded\", fontname=\"Helvetica\", fontsize=11, fontcolor=\"#1c2733\", "
        "margin=\"0.16,0.09\"]\n"
        "  edge [color=\"#3a424d\", arrowsize=0.7, penwidth=1.2]\n",
        Escaped(picture_.room_id), Legend());
  }

  /// A table of the colours under the picture; only those that are in it, and how edges are to be read.
  std::string Legend() const {
    std::string cells;
    for (const Verdict& verdict : kVerdicts) {
      const auto& events = picture_.neighbourhood.events();
      if (std::ranges::find(events, verdict.outcome, &NeighbourEvent::outcome) == events.end()) continue;
      cells += fmt::format("<td bgcolor=\"{}\" color=\"{}\">{}</td>", verdict.colours.fill, verdict.colours.border,
                           verdict.name);
    }
    return fmt::format(
        "<table border=\"0\" cellborder=\"1\" cellspacing=\"6\" cellpadding=\"4\"><tr>{}"
        "<td border=\"0\">solid line: to a prev event</td><td border=\"0\">dashed line: to an auth event</td></tr>"
        "<tr><td border=\"0\" colspan=\"7\">room {}, version {}. Heavy border: in question. Double border: forward "
        "extremity.{}"
        "</td></tr></table>",
        cells, Line(picture_.room_id), Line(picture_.room_version),
        picture_.neighbourhood.truncated() ? " There is more than is drawn." : "");
  }

  void AddNode(const NeighbourEvent& event) {
    const Colours colours = ColoursOf(event.outcome());
    const bool judged_only = event.event_id() == picture_.judged_only;
    text_ += fmt::format(
        "  {} [label=<{}>, fillcolor=\"{}\", color=\"{}\", penwidth={}, peripheries={}{}, tooltip=\"{}\"]\n",
        names_.at(event.event_id()), Label(event, judged_only), colours.fill, colours.border,
        InQuestion(event.event_id()) ? "2.8" : "1.1", event.extremity() ? 2 : 1,
        judged_only ? ", style=\"filled,rounded,dashed\"" : "", Escaped(event.event_id()));
  }

  void AddEdges(const NeighbourEvent& event) {
    const std::string& from = names_.at(event.event_id());
    const bool in_question = InQuestion(event.event_id());
    for (const std::string& id : event.prev_events()) {
      if (const std::string* to = NameOf(id, in_question)) text_ += fmt::format("  {} -> {}\n", from, *to);
    }
    if (!in_question) return;  // where each event shows four auth edges nothing can be seen any more
    for (const std::string& id : event.auth_events()) {
      const std::string* to = NameOf(id, in_question);
      if (to == nullptr) continue;
      text_ += fmt::format(
          "  {} -> {} [style=dashed, color=\"#7b68b5\", penwidth=1, arrowhead=vee, weight=0, class=\"auth\"]\n", from,
          *to);
    }
  }

  /// The node of an event; where it is not given but to be shown, a node that says so.
  const std::string* NameOf(const std::string& event_id, bool show) {
    const auto known = names_.find(event_id);
    if (known != names_.end()) return &known->second;
    if (!show) return nullptr;
    const std::string& name = names_.emplace(event_id, fmt::format("e{}", names_.size())).first->second;
    text_ += fmt::format(
        "  {} [label=<<i>not known: {}</i>>, fillcolor=\"{}\", color=\"{}\", style=\"filled,rounded,dotted\", "
        "tooltip=\"{}\"]\n",
        name, Escaped(Shortened(Printable(event_id), kLongestId)), kNotKnown.fill, kNotKnown.border, Escaped(event_id));
    return &name;
  }

  const GraphPicture& picture_;
  std::map<std::string, std::string> names_;
  std::string text_;
};

}  // namespace

std::string DrawGraph(const GraphPicture& picture) { return Drawing(picture).Text(); }

}  // namespace postern::posternctl
