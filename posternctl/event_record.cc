#include "posternctl/event_record.h"

#include "posternctl/event_words.h"
#include "posternctl/report.h"

namespace postern::posternctl {

matrix::JsonObject RecordJson(const store::v1::EventRecord& record) {
  matrix::JsonObject described;
  described.Set("event_id", record.event_id());
  described.Set("room_id", record.room_id());
  described.Set("room_version", record.room_version());
  described.Set("outcome", OutcomeText(record.outcome()));
  described.Set("origin", record.origin());
  described.Set("stored_at_ms", std::int64_t{record.stored_at_ms()});
  return described;
}

void PrintRecord(const store::v1::EventRecord& record) {
  PrintFields({{"event", Printable(record.event_id())},
               {"room", Printable(record.room_id())},
               {"version", record.room_version()},
               {"outcome", OutcomeText(record.outcome())},
               {"from", Printable(record.origin())},
               {"stored", TimeText(record.stored_at_ms())}});
}

}  // namespace postern::posternctl
