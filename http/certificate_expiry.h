// Until when the certificates in a file are good: for a metric, so that an alert comes before the last day does.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "telemetry/metrics.h"

namespace postern::http {

/// From when until when a thing is good.
struct Times {
  absl::Time from;
  absl::Time until;
};

/// When all certificates in a PEM file are good: the latest beginning, the earliest end. Refuses: kInvalidArgument,
/// naming the file: it cannot be read, or holds none.
absl::StatusOr<Times> TimesOf(const std::string& pem_file);

/// The earliest end of all certificates in a PEM file. Refuses: kInvalidArgument, naming the file: it cannot be read,
/// or holds none.
absl::StatusOr<absl::Time> EarliestEnd(const std::string& pem_file);

/// Sets postern_certificate_not_after_seconds{certificate=`name`}, a Unix time; 0 where the file cannot be read, so
/// that an alert sees that too. Does nothing for an empty `pem_file`.
void ShowCertificate(telemetry::Metrics& metrics, std::string_view name, const std::string& pem_file);

}  // namespace postern::http
