// How much each origin asks of all gateways together, on PostgreSQL.
#include <optional>
#include <string>
#include <vector>

#include "services/store/postgres_event_store.h"
#include "services/store/statements.h"

namespace postern::store {

absl::StatusOr<v1::ShareRatesResponse> PostgresEventStore::ShareRates(const rpc::CallContext& call,
                                                                      const v1::ShareRatesRequest& request) {
  if (absl::Status status = CheckRates(request); !status.ok()) return status;
  std::vector<std::string> origins;
  std::vector<std::optional<std::int64_t>> requests, waiting, working;
  for (const auto& origin : request.origins()) {
    origins.push_back(origin.origin());
    requests.emplace_back(origin.requests());
    waiting.emplace_back(origin.waiting());
    working.emplace_back(origin.working());
  }
  Parameters parameters;
  parameters.Bytes(request.holder())
      .Integer(request.milliseconds())
      .BytesArray(origins)
      .IntegerArray(requests)
      .IntegerArray(waiting)
      .IntegerArray(working);
  // May be repeated: it says the same again.
  const auto rows = Read(call, kShareRates, parameters);
  if (!rows.ok()) return rows.status();
  v1::ShareRatesResponse response;
  for (std::size_t row = 0; row < rows->size(); ++row) {
    auto& others = *response.add_origins();
    others.set_origin(rows->Bytes(row, 0));
    others.set_requests(rows->Integer(row, 1));
    others.set_waiting(rows->Integer(row, 2));
    others.set_working(rows->Integer(row, 3));
  }
  return response;
}

}  // namespace postern::store
