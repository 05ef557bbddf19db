// What the store says of one event, but for the event itself and its verdict.
#pragma once

#include "matrix/json.h"
#include "postern/store/v1/store.pb.h"

namespace postern::posternctl {

matrix::JsonObject RecordJson(const store::v1::EventRecord& record);
void PrintRecord(const store::v1::EventRecord& record);

}  // namespace postern::posternctl
