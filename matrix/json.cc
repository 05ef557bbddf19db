#include "matrix/json.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>

#include "absl/container/inlined_vector.h"
#include "fmt/format.h"
#include "matrix/refusal.h"

namespace postern::matrix {

const Json* JsonObject::Find(std::string_view key) const {
  const auto at =
      std::ranges::lower_bound(members_, key, {}, [](const JsonMember& m) { return std::string_view(m.key); });
  return at != members_.end() && at->key == key ? &at->value : nullptr;
}

Json* JsonObject::Find(std::string_view key) { return const_cast<Json*>(std::as_const(*this).Find(key)); }

void JsonObject::Set(std::string_view key, Json value) {
  const auto at =
      std::ranges::lower_bound(members_, key, {}, [](const JsonMember& m) { return std::string_view(m.key); });
  if (at != members_.end() && at->key == key) {
    at->value = std::move(value);
  } else {
    members_.insert(at, JsonMember{std::string(key), std::move(value)});
  }
}

bool JsonObject::Erase(std::string_view key) {
  const auto at =
      std::ranges::lower_bound(members_, key, {}, [](const JsonMember& m) { return std::string_view(m.key); });
  if (at == members_.end() || at->key != key) return false;
  members_.erase(at);
  return true;
}

// A peer chooses the nesting. What follows walks the tree with a list of what is left to do, so that the stack stays
// flat.

void Json::MoveContainersTo(std::vector<Json>& pending) {
  if (JsonArray* array = AsArray()) {
    for (Json& item : *array) {
      if (item.IsContainer()) pending.push_back(std::move(item));
    }
  } else if (JsonObject* object = AsObject()) {
    for (JsonMember& member : object->members_) {
      if (member.value.IsContainer()) pending.push_back(std::move(member.value));
    }
  }
}

Json::~Json() {
  if (!IsContainer()) return;
  std::vector<Json> pending;
  MoveContainersTo(pending);
  while (!pending.empty()) {
    Json next = std::move(pending.back());
    pending.pop_back();
    next.MoveContainersTo(pending);
  }
}

template <typename Pending>
void Json::CopyOneLevel(const Json& from, Pending& pending) {
  if (const JsonArray* array = from.AsArray()) {
    JsonArray& copy = value_.emplace<JsonArray>(array->size());
    for (std::size_t i = 0; i < copy.size(); ++i) pending.emplace_back(&(*array)[i], &copy[i]);
  } else if (const JsonObject* object = from.AsObject()) {
    auto& copy = value_.emplace<JsonObject>().members_;
    copy.resize(object->size());
    for (std::size_t i = 0; i < copy.size(); ++i) {
      copy[i].key = object->members_[i].key;
      pending.emplace_back(&object->members_[i].value, &copy[i].value);
    }
  } else {
    value_ = from.value_;
  }
}

Json::Json(const Json& other) {
  absl::InlinedVector<std::pair<const Json*, Json*>, 32> pending;
  CopyOneLevel(other, pending);
  while (!pending.empty()) {
    const auto [from, to] = pending.back();
    pending.pop_back();
    to->CopyOneLevel(*from, pending);
  }
}

Json& Json::operator=(const Json& other) {
  if (this != &other) *this = Json(other);
  return *this;
}

template <typename Pending>
bool Json::EqualsOneLevel(const Json& other, Pending& pending) const {
  if (value_.index() != other.value_.index()) return false;
  if (const JsonArray* array = AsArray()) {
    const JsonArray& items = *other.AsArray();
    if (array->size() != items.size()) return false;
    for (std::size_t i = 0; i < items.size(); ++i) pending.emplace_back(&(*array)[i], &items[i]);
    return true;
  }
  if (const JsonObject* object = AsObject()) {
    const auto& members = other.AsObject()->members_;
    if (object->size() != members.size()) return false;
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (object->members_[i].key != members[i].key) return false;
      pending.emplace_back(&object->members_[i].value, &members[i].value);
    }
    return true;
  }
  return value_ == other.value_;
}

bool Json::operator==(const Json& other) const {
  absl::InlinedVector<std::pair<const Json*, const Json*>, 32> pending{{this, &other}};
  while (!pending.empty()) {
    const auto [left, right] = pending.back();
    pending.pop_back();
    if (!left->EqualsOneLevel(*right, pending)) return false;
  }
  return true;
}

/// Builds the tree from basic_parser's events. Returns false with `refusal` set where the document is JSON but not
/// ours.
class JsonBuilder {
 public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  using Error = boost::json::error_code;
  using Text = boost::json::string_view;

  // An event has some twenty values open at most; growing to that would move them five times.
  JsonBuilder() {
    values_.reserve(kUsuallyOpen);
    keys_.reserve(kUsuallyOpen);
  }

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }

  bool on_object_begin(Error& error) {
    containers_.push_back(values_.size());
    return Within(error);
  }
  bool on_object_end(std::size_t count, Error& error) {
    const std::size_t first = containers_.back();
    containers_.pop_back();
    JsonObject object;
    auto& members = object.members_;
    members.reserve(count);
    const std::size_t first_key = keys_.size() - count;
    for (std::size_t i = 0; i < count; ++i) {
      members.push_back(JsonMember{std::move(keys_[first_key + i]), std::move(values_[first + i])});
    }
    keys_.resize(first_key);
    values_.resize(first);
    return SortMembers(members, error) && Add(Json(std::move(object)));
  }
  bool on_array_begin(Error& error) {
    containers_.push_back(values_.size());
    return Within(error);
  }
  bool on_array_end(std::size_t, Error&) {
    const std::size_t first = containers_.back();
    containers_.pop_back();
    JsonArray array(std::make_move_iterator(values_.begin() + static_cast<std::ptrdiff_t>(first)),
                    std::make_move_iterator(values_.end()));
    values_.resize(first);
    return Add(Json(std::move(array)));
  }

  bool on_key_part(Text part, std::size_t, Error&) { return Append(part); }
  bool on_key(Text part, std::size_t, Error&) {
    Append(part);
    keys_.push_back(std::exchange(text_, {}));
    return true;
  }
  bool on_string_part(Text part, std::size_t, Error&) { return Append(part); }
  bool on_string(Text part, std::size_t, Error&) {
    Append(part);
    return Add(Json(std::exchange(text_, {})));
  }

  bool on_number_part(Text part, Error&) { return Append(part); }
  bool on_int64(std::int64_t, Text part, Error&) { return AddNumber(part); }
  bool on_uint64(std::uint64_t, Text part, Error&) { return AddNumber(part); }
  bool on_double(double, Text part, Error&) { return AddNumber(part); }

  bool on_bool(bool value, Error&) { return Add(Json(value)); }
  bool on_null(Error&) { return Add(Json()); }
  bool on_comment_part(Text, Error&) { return true; }
  bool on_comment(Text, Error&) { return true; }

  Json TakeRoot() { return std::move(values_.front()); }
  const std::string& refusal() const { return refusal_; }

 private:
  bool Append(Text part) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool Add(Json value) {
    values_.push_back(std::move(value));
    return true;
  }
  // Boost turns -0 into 0 and large integers into doubles; the text is what was written.
  bool AddNumber(Text part) {
    Append(part);
    std::int64_t integer = 0;
    const char* const text_end = text_.data() + text_.size();
    const auto [end, problem] = std::from_chars(text_.data(), text_end, integer);
    const bool plain = problem == std::errc() && end == text_end && text_ != "-0";
    values_.push_back(plain ? Json(integer) : Json(OddNumber{text_}));
    text_.clear();
    return true;
  }
  bool SortMembers(std::vector<JsonMember>& members, Error& error) {
    const auto by_key = [](const JsonMember& a, const JsonMember& b) { return a.key < b.key; };
    if (!std::ranges::is_sorted(members, by_key)) std::ranges::sort(members, by_key);
    const auto twin = std::ranges::adjacent_find(members, {}, &JsonMember::key);
    return twin == members.end() || Stop("an object has the same key twice", error);
  }
  bool Within(Error& error) {
    return containers_.size() <= kMaxJsonDepth || Stop(fmt::format("nested deeper than {}", kMaxJsonDepth), error);
  }
  bool Stop(std::string why, Error& error) {
    refusal_ = std::move(why);
    error = boost::json::error::exception;
    return false;
  }

  static constexpr std::size_t kUsuallyOpen = 32;

  std::vector<Json> values_;
  std::vector<std::string> keys_;
  std::vector<std::size_t> containers_;
  std::string text_;
  std::string refusal_;
};

namespace {

/// Boost calls it a syntax error where a leading surrogate's escape is followed by anything but a backslash and 'u'.
bool EndsInLeadingSurrogate(std::string_view text) {
  constexpr std::size_t kEscapeBytes = 6;  // \ud800
  if (text.ends_with('\\')) text.remove_suffix(1);
  if (text.size() < kEscapeBytes) return false;
  const std::string_view escape = text.substr(text.size() - kEscapeBytes);
  return escape.starts_with("\\u") && (escape[2] == 'd' || escape[2] == 'D') &&
         std::string_view("89abAB").find(escape[3]) != std::string_view::npos;
}

bool IsSurrogateProblem(const boost::json::error_code& error, std::string_view read) {
  if (error == boost::json::error::syntax) return EndsInLeadingSurrogate(read);
  return error == boost::json::error::illegal_leading_surrogate ||
         error == boost::json::error::illegal_trailing_surrogate || error == boost::json::error::expected_utf16_escape;
}

}  // namespace

absl::StatusOr<Json> ParseJson(std::string_view text) {
  boost::json::parse_options options;
  options.max_depth = kMaxJsonDepth + 1;
  boost::json::basic_parser<JsonBuilder> parser(options);
  boost::json::error_code error;
  const std::size_t read = parser.write_some(false, text.data(), text.size(), error);
  if (!error && read < text.size()) error = boost::json::error::extra_data;
  if (!error) return parser.handler().TakeRoot();
  if (!parser.handler().refusal().empty()) return Refuse(Reason::kBadJson, parser.handler().refusal());
  if (IsSurrogateProblem(error, text.substr(0, read)))
    return Refuse(Reason::kBadJson, "a string holds a lone surrogate");
  return Refuse(Reason::kNotJson, fmt::format("not JSON near byte {}: {}", read, error.message()));
}

}  // namespace postern::matrix
