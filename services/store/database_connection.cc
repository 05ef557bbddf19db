#include "services/store/database_connection.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <map>
#include <utility>

#include <pqxx/pqxx>

#include <fmt/format.h>

#include "matrix/refusal.h"
#include "services/store/sql_functions.h"
#include "telemetry/log.h"

namespace postern::store {
namespace {

using matrix::Reason;
using matrix::Refuse;

constexpr int kDeadlockAttempts = 3;

void AppendHex(std::string& text, std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const std::size_t start = text.size();
  text.resize(start + 2 * bytes.size());
  char* out = text.data() + start;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    *out++ = kDigits[byte >> 4];
    *out++ = kDigits[byte & 15];
  }
}

/// Of a digit that PostgreSQL wrote: small letters. Without a branch, which for bytes of any kind is guessed wrong
/// every other time.
unsigned DigitOf(char c) { return (static_cast<unsigned char>(c) & 15U) + (static_cast<unsigned char>(c) >> 6U) * 9U; }

std::string DecodeHex(std::string_view digits) {
  std::string bytes(digits.size() / 2, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(DigitOf(digits[2 * i]) << 4 | DigitOf(digits[2 * i + 1]));
  }
  return bytes;
}

/// What stands for itself in a bytea, in a list of them, and in the text of that list within another: ids, types and
/// names of servers. With a sign in it, it is not the word NULL.
bool StandsForItself(std::string_view bytes) {
  constexpr std::string_view kSigns = "$@!#:.";
  bool has_sign = false;
  for (const char c : bytes) {
    const bool is_sign = kSigns.find(c) != std::string_view::npos;
    const bool is_alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!is_sign && !is_alphanumeric && c != '-' && c != '_') return false;
    has_sign |= is_sign;
  }
  return has_sign;
}

/// An item of a bytea[] in the text of that array, which itself is an item of an array. Most are ids, which PostgreSQL
/// reads in a third of the time as they are.
void AppendListItem(std::string& text, const std::optional<std::string>& item) {
  if (!item) {
    text += "NULL";
  } else if (StandsForItself(*item)) {
    text += *item;
  } else {
    text += R"(\\\\x)";  // one backslash of \x, escaped for its list and again for the list in the array
    AppendHex(text, *item);
  }
}

/// `write` appends an item to the literal.
template <typename Items, typename Write>
std::string ArrayLiteral(const Items& items, Write write) {
  std::string text = "{";
  for (const auto& item : items) {
    if (text.size() > 1) text += ',';
    write(text, item);
  }
  return text + '}';
}

/// PostgreSQL's number of the type bytea.
constexpr std::uint32_t kByteaType = 17;

void AppendWord(std::string& bytes, std::uint32_t word) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(word >> shift & 0xffU);
}

const std::string* BytesOf(const std::optional<std::string>& item) { return item ? &*item : nullptr; }
const std::string* BytesOf(const std::string& item) { return &item; }
const std::string_view* BytesOf(const std::string_view& item) { return &item; }

/// As array_send writes a bytea[]: dimensions, whether there are nulls, the type; of the one dimension its size and
/// lower bound; then each item after its size.
template <typename Items>
std::string BinaryArray(const Items& items) {
  const bool has_nulls = std::ranges::any_of(items, [](const auto& item) { return BytesOf(item) == nullptr; });
  std::string bytes;
  AppendWord(bytes, items.empty() ? 0 : 1);
  AppendWord(bytes, has_nulls ? 1 : 0);
  AppendWord(bytes, kByteaType);
  if (items.empty()) return bytes;
  AppendWord(bytes, static_cast<std::uint32_t>(items.size()));
  AppendWord(bytes, 1);
  for (const auto& item : items) {
    const auto* value = BytesOf(item);
    AppendWord(bytes, value == nullptr ? 0xffffffffU : static_cast<std::uint32_t>(value->size()));
    if (value != nullptr) bytes += *value;
  }
  return bytes;
}

/// The items of a one-dimensional array whose items hold no commas; quotes are dropped.
std::vector<std::string_view> ArrayItems(std::string_view literal) {
  std::vector<std::string_view> items;
  if (literal.size() < 2) return items;
  literal = literal.substr(1, literal.size() - 2);
  while (!literal.empty()) {
    const std::size_t comma = literal.find(',');
    std::string_view item = literal.substr(0, comma);
    if (item.size() >= 2 && item.front() == '"') item = item.substr(1, item.size() - 2);
    items.push_back(item);
    if (comma == std::string_view::npos) break;
    literal.remove_prefix(comma + 1);
  }
  return items;
}

std::int64_t ReadInteger(std::string_view text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

/// A host that does not answer must not hold a worker for minutes.
std::string WithTimeouts(const std::string& uri) {
  if (uri.find("connect_timeout") != std::string::npos) return uri;
  if (uri.rfind("postgres://", 0) == 0 || uri.rfind("postgresql://", 0) == 0) {
    return uri + (uri.find('?') == std::string::npos ? '?' : '&') + "connect_timeout=5&tcp_user_timeout=15000";
  }
  return uri + " connect_timeout=5 tcp_user_timeout=15000";
}

/// Plans are made once and must suit tables of any size, so they go by index always; a lock is waited for, but not for
/// ever. No statement timeout: it could cut off the wait of a COMMIT.
constexpr std::array kSessionSettings{
    "enable_seqscan = off",
    "enable_hashjoin = off",
    "enable_mergejoin = off",
    "jit = off",
    "plan_cache_mode = force_generic_plan",
    "bytea_output = hex",
    "lock_timeout = '5s'",
    "idle_in_transaction_session_timeout = '60s'",
    "client_min_messages = warning",
};

class Warnings final : public pqxx::errorhandler {
 public:
  explicit Warnings(pqxx::connection_base& connection) : pqxx::errorhandler(connection) {}
  bool operator()(const char* message) noexcept override {
    seen = true;
    telemetry::Log(telemetry::Level::kWarning, "PostgreSQL warns", {{"detail", message}});
    return false;
  }
  bool seen = false;
};

}  // namespace

Parameters& Parameters::Binary(std::string bytes) {
  in_binary_.push_back(true);
  binaries_.push_back(std::move(bytes));
  return *this;
}

Parameters& Parameters::Text(std::optional<std::string> text) {
  in_binary_.push_back(false);
  texts_.push_back(std::move(text));
  return *this;
}

std::string Parameters::Renumbered(std::string_view text) const {
  std::vector<std::size_t> numbers;
  std::size_t binaries = 0, texts = binaries_.size();
  for (const bool in_binary : in_binary_) numbers.push_back(in_binary ? ++binaries : ++texts);
  std::string renumbered;
  for (std::size_t dollar = text.find('$'); dollar != std::string_view::npos; dollar = text.find('$')) {
    renumbered += text.substr(0, dollar + 1);
    text.remove_prefix(dollar + 1);
    std::size_t number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (number == 0 || number > numbers.size()) continue;  // no parameter
    renumbered += fmt::format_int(numbers[number - 1]).c_str();
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
  }
  return renumbered += text;
}

Parameters& Parameters::Bytes(std::string_view bytes) { return Binary(std::string(bytes)); }

// Null can only be said in text.
Parameters& Parameters::Bytes(const std::optional<std::string>& bytes) {
  if (!bytes) return Text(std::nullopt);
  std::string text = "\\x";
  AppendHex(text, *bytes);
  return Text(std::move(text));
}

Parameters& Parameters::Integer(std::int64_t number) { return Text(fmt::format_int(number).str()); }

Parameters& Parameters::Integer(std::optional<std::int64_t> number) {
  return number ? Integer(*number) : Text(std::nullopt);
}

Parameters& Parameters::Boolean(bool value) { return Text(value ? "t" : "f"); }

Parameters& Parameters::BytesArray(const std::vector<std::string>& items) { return Binary(BinaryArray(items)); }
Parameters& Parameters::BytesArray(const std::vector<std::string_view>& items) { return Binary(BinaryArray(items)); }
Parameters& Parameters::BytesArray(const std::vector<std::optional<std::string>>& items) {
  return Binary(BinaryArray(items));
}

Parameters& Parameters::BytesLists(const std::vector<std::vector<std::optional<std::string>>>& lists) {
  return Text(ArrayLiteral(lists, [](std::string& text, const std::vector<std::optional<std::string>>& list) {
    text += "\"{";
    for (const std::optional<std::string>& item : list) {
      if (text.back() != '{') text += ',';
      AppendListItem(text, item);
    }
    text += "}\"";
  }));
}

Parameters& Parameters::WordArray(const std::vector<std::optional<std::string>>& items) {
  return Text(ArrayLiteral(
      items, [](std::string& text, const std::optional<std::string>& item) { text += item ? *item : "NULL"; }));
}

Parameters& Parameters::IntegerArray(const std::vector<std::optional<std::int64_t>>& items) {
  return Text(ArrayLiteral(items, [](std::string& text, std::optional<std::int64_t> item) {
    text += item ? fmt::format_int(*item).str() : "NULL";
  }));
}

struct Rows::Result {
  pqxx::result rows;
  auto At(std::size_t row, std::size_t column) const {
    return rows[static_cast<pqxx::result::size_type>(row)][static_cast<pqxx::row::size_type>(column)];
  }
};

Rows::Rows(std::unique_ptr<Result> result) : result_(std::move(result)) {}
Rows::Rows(Rows&&) noexcept = default;
Rows& Rows::operator=(Rows&&) noexcept = default;
Rows::~Rows() = default;

std::size_t Rows::size() const { return static_cast<std::size_t>(result_->rows.size()); }
bool Rows::IsNull(std::size_t row, std::size_t column) const { return result_->At(row, column).is_null(); }

std::string_view Rows::Text(std::size_t row, std::size_t column) const {
  const auto field = result_->At(row, column);
  return {field.c_str(), field.size()};
}

std::string Rows::Bytes(std::size_t row, std::size_t column) const {
  const std::string_view text = Text(row, column);
  return text.size() < 2 ? std::string() : DecodeHex(text.substr(2));
}

std::int64_t Rows::Integer(std::size_t row, std::size_t column) const { return ReadInteger(Text(row, column)); }
bool Rows::Boolean(std::size_t row, std::size_t column) const { return Text(row, column) == "t"; }

std::vector<std::string> Rows::BytesArray(std::size_t row, std::size_t column) const {
  std::vector<std::string> values;
  // Quoted, with the backslash doubled: \\x6162.
  for (const std::string_view item : ArrayItems(Text(row, column))) values.push_back(DecodeHex(item.substr(3)));
  return values;
}

std::vector<std::optional<std::int64_t>> Rows::IntegerArray(std::size_t row, std::size_t column) const {
  std::vector<std::optional<std::int64_t>> values;
  for (const std::string_view item : ArrayItems(Text(row, column))) {
    values.push_back(item == "NULL" ? std::nullopt : std::optional(ReadInteger(item)));
  }
  return values;
}

struct DatabaseConnection::Session {
  Session(const std::string& uri, ReachedBy by) : connection(uri), reached_by(by), warnings(connection) {}
  pqxx::connection connection;
  const ReachedBy reached_by;
  Warnings warnings;
  /// By name: which parameters of the statement are in binary.
  std::map<std::string_view, std::vector<bool>> prepared;
};

DatabaseConnection::DatabaseConnection(std::unique_ptr<Session> session) : session_(std::move(session)) {}
DatabaseConnection::~DatabaseConnection() = default;

bool DatabaseConnection::Knows(const Statement& statement) const { return session_->prepared.contains(statement.name); }

bool DatabaseConnection::warned() const { return session_->warnings.seen; }

absl::StatusOr<std::unique_ptr<DatabaseConnection>> DatabaseConnection::Open(const std::string& uri,
                                                                             ReachedBy reached_by) {
  try {
    auto session = std::make_unique<Session>(WithTimeouts(uri), reached_by);
    pqxx::nontransaction work(session->connection);
    // A pooler gives a connection before it has one of PostgreSQL's.
    std::string first = reached_by == ReachedBy::kItself ? "" : "select 1";
    for (const char* setting : kSessionSettings) {
      if (reached_by == ReachedBy::kItself) first += fmt::format("set {}; ", setting);
    }
    work.exec(first);
    return std::unique_ptr<DatabaseConnection>(new DatabaseConnection(std::move(session)));
  } catch (const std::exception& error) {
    return Refuse(Reason::kStoreDown, fmt::format("PostgreSQL cannot be reached: {}", error.what()));
  }
}

absl::Status DatabaseConnection::SettleRole() {
  if (session_->reached_by == ReachedBy::kItself) return absl::OkStatus();
  std::string statements = "do $$ begin ";
  for (const char* setting : kSessionSettings) {
    statements += fmt::format(
        "execute format('alter role %I in database %I set ', current_user, current_database()) || $s${}$s$; ", setting);
  }
  return Execute(statements + "end $$");
}

absl::Status DatabaseConnection::StatusOfCurrentException() {
  deadlocked_ = false;
  try {
    throw;
  } catch (const pqxx::broken_connection& error) {
    broken_ = true;
    return Refuse(Reason::kStoreDown, "the connection to PostgreSQL broke");
  } catch (const pqxx::sql_error& error) {
    const std::string& state = error.sqlstate();
    // 57P0x: shut down or killed; 08: no connection; 25006: this host is a standby now; none: libpq's own.
    if (!session_->connection.is_open() || state.empty() || state.rfind("57P", 0) == 0 || state.rfind("08", 0) == 0 ||
        state == "25006") {
      broken_ = true;
      return Refuse(Reason::kStoreDown, "the connection to PostgreSQL broke");
    }
    if (state == "55P03") return Refuse(Reason::kRoomBusy, "a lock could not be had in time");
    if (state == "23505") return Refuse(Reason::kAlreadyExists, "what is to be written is there already");
    deadlocked_ = state.rfind("40", 0) == 0;
    telemetry::Log(telemetry::Level::kError, "PostgreSQL refuses a statement",
                   {{"sqlstate", state}, {"detail", error.what()}});
    return Refuse(deadlocked_ ? Reason::kRoomBusy : Reason::kInternal, "PostgreSQL refused a statement");
  } catch (const std::exception& error) {
    broken_ = true;  // whatever it was, a new connection is the surer one
    telemetry::Log(telemetry::Level::kError, "talking to PostgreSQL failed", {{"detail", error.what()}});
    return Refuse(Reason::kStoreDown, "talking to PostgreSQL failed");
  }
}

absl::StatusOr<Rows> DatabaseConnection::CallOnce(const Statement& statement, const Parameters& parameters) {
  try {
    pqxx::connection& connection = session_->connection;
    const bool by_name = session_->reached_by == ReachedBy::kItself;
    const auto text = [&] { return parameters.Renumbered(WithSchema(statement.text)); };
    if (by_name) {
      const auto [known, added] = session_->prepared.emplace(statement.name, parameters.in_binary());
      if (added) connection.prepare(statement.name, text());
      if (known->second != parameters.in_binary()) {
        return Refuse(Reason::kInternal, "a statement has parameters of other kinds than before");
      }
    }
    pqxx::nontransaction work(connection);
    auto result = std::make_unique<Rows::Result>();
#if defined(PQXX_VERSION_MAJOR) && PQXX_VERSION_MAJOR >= 7
    pqxx::params values;
    for (const std::string& value : parameters.binaries()) values.append(pqxx::binary_cast(value));
    for (const auto& value : parameters.texts()) values.append(value);
    result->rows = by_name ? work.exec(pqxx::prepped{statement.name}, values) : work.exec(text(), values);
#else
    std::vector<pqxx::binarystring> binaries;
    binaries.reserve(parameters.binaries().size());
    for (const std::string& value : parameters.binaries()) binaries.emplace_back(value.data(), value.size());
    std::vector<const char*> texts;
    texts.reserve(parameters.texts().size());
    for (const auto& value : parameters.texts()) texts.push_back(value ? value->c_str() : nullptr);
    const auto first = pqxx::prepare::make_dynamic_params(binaries);
    const auto then = pqxx::prepare::make_dynamic_params(texts);
    result->rows = by_name ? work.exec_prepared(statement.name, first, then) : work.exec_params(text(), first, then);
#endif
    return Rows(std::move(result));
  } catch (const std::exception&) {
    return StatusOfCurrentException();
  }
}

absl::StatusOr<Rows> DatabaseConnection::Call(const Statement& statement, const Parameters& parameters) {
  session_->warnings.seen = false;
  absl::StatusOr<Rows> rows = CallOnce(statement, parameters);
  for (int attempt = 1; attempt < kDeadlockAttempts && !rows.ok() && deadlocked_ && !broken_; ++attempt) {
    rows = CallOnce(statement, parameters);
  }
  return rows;
}

absl::Status DatabaseConnection::Execute(const std::string& statements) {
  try {
    pqxx::work work(session_->connection);
    work.exec(statements);
    work.commit();
    return absl::OkStatus();
  } catch (const std::exception&) {
    return StatusOfCurrentException();
  }
}

}  // namespace postern::store
