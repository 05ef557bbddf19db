// One connection to PostgreSQL. The only file that sees libpqxx: its exceptions end here, and what its versions differ
// in.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace postern::store {

/// Parameters of a statement, in its order. Bytes and arrays of them go in PostgreSQL's binary format, for a batch of
/// events is made of little else; the rest as text. A statement has the same kinds of parameters each time.
class Parameters {
 public:
  Parameters& Bytes(std::string_view bytes);
  Parameters& Bytes(const std::string& bytes) { return Bytes(std::string_view(bytes)); }
  Parameters& Bytes(const std::optional<std::string>& bytes);
  Parameters& Integer(std::int64_t number);
  Parameters& Integer(std::optional<std::int64_t> number);
  Parameters& Boolean(bool value);
  /// bytea[].
  Parameters& BytesArray(const std::vector<std::string>& items);
  Parameters& BytesArray(const std::vector<std::string_view>& items);
  Parameters& BytesArray(const std::vector<std::optional<std::string>>& items);
  /// text[], each item the text of a bytea[]: for arrays of different lengths, which PostgreSQL has no array of.
  Parameters& BytesLists(const std::vector<std::vector<std::optional<std::string>>>& lists);
  /// text[] or boolean[] of words that need no quotes; null where there is none.
  Parameters& WordArray(const std::vector<std::optional<std::string>>& items);
  /// bigint[] or integer[].
  Parameters& IntegerArray(const std::vector<std::optional<std::int64_t>>& items);

  /// In the order in which they are sent: those in binary, then those as text. `text` with their numbers in that order.
  std::string Renumbered(std::string_view text) const;
  const std::vector<bool>& in_binary() const { return in_binary_; }
  const std::vector<std::string>& binaries() const { return binaries_; }
  const std::vector<std::optional<std::string>>& texts() const { return texts_; }

 private:
  Parameters& Binary(std::string bytes);
  Parameters& Text(std::optional<std::string> text);

  std::vector<std::string> binaries_;
  std::vector<std::optional<std::string>> texts_;
  std::vector<bool> in_binary_;
};

/// The answer of a statement.
class Rows {
 public:
  struct Result;
  explicit Rows(std::unique_ptr<Result> result);
  Rows(Rows&&) noexcept;
  Rows& operator=(Rows&&) noexcept;
  ~Rows();

  std::size_t size() const;
  bool IsNull(std::size_t row, std::size_t column) const;
  /// Null reads as "", 0 or false.
  std::string_view Text(std::size_t row, std::size_t column) const;
  std::string Bytes(std::size_t row, std::size_t column) const;
  std::int64_t Integer(std::size_t row, std::size_t column) const;
  bool Boolean(std::size_t row, std::size_t column) const;
  std::vector<std::string> BytesArray(std::size_t row, std::size_t column) const;
  std::vector<std::optional<std::int64_t>> IntegerArray(std::size_t row, std::size_t column) const;

 private:
  std::unique_ptr<Result> result_;
};

/// A statement by name; prepared on a connection when it is first used there, which then keeps the name as it stands:
/// it is a literal. `fn` in the text: see sql_functions.h.
struct Statement {
  const char* name;
  const char* text;
};

/// Whether one connection of ours is one of PostgreSQL's, or a pooler's (PgBouncer, in transaction mode) that gives it
/// another one for each transaction: then nothing is prepared by name, and the settings of sessions are the role's.
enum class ReachedBy { kItself, kTransactionPooler };

class DatabaseConnection {
 public:
  /// `uri` may name several hosts. Refuses: kStoreDown.
  static absl::StatusOr<std::unique_ptr<DatabaseConnection>> Open(const std::string& uri,
                                                                  ReachedBy reached_by = ReachedBy::kItself);
  ~DatabaseConnection();

  /// Behind a pooler: makes the settings that our sessions need those of every session of this role in this database.
  /// Without one: nothing. Refuses as Call does.
  absl::Status SettleRole();

  /// Runs one statement as a transaction of its own; tries again where PostgreSQL broke a deadlock. Refuses: kStoreDown
  /// if the connection broke (whether it was committed is not known), kRoomBusy if a lock could not be had in time,
  /// kAlreadyExists if a key is taken, kInternal, also where the parameters are of other kinds than before.
  absl::StatusOr<Rows> Call(const Statement& statement, const Parameters& parameters);
  /// Runs statements as they stand, in one transaction. Refuses as Call does.
  absl::Status Execute(const std::string& statements);

  /// Whether it has run this statement before: its plan is made.
  bool Knows(const Statement& statement) const;

  /// Whether it can be used no more.
  bool broken() const { return broken_; }
  /// Whether PostgreSQL warned of anything during the last Call. No statement of ours does: it is about the commit
  /// (such as a wait for a synchronous standby that was cut short), which therefore must not be relied on.
  bool warned() const;

 private:
  struct Session;
  explicit DatabaseConnection(std::unique_ptr<Session> session);
  absl::StatusOr<Rows> CallOnce(const Statement& statement, const Parameters& parameters);
  absl::Status StatusOfCurrentException();

  std::unique_ptr<Session> session_;
  bool broken_ = false;
  bool deadlocked_ = false;
};

}  // namespace postern::store
