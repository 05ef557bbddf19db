#include "rpc/span_exporter.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "opentelemetry/trace_service.grpc.pb.h"
#include "rpc/grpc_log.h"
#include "telemetry/log.h"

namespace postern::rpc {
namespace {

namespace otlp = opentelemetry::proto::collector::trace::v1;
using matrix::Reason;
using matrix::Refuse;

constexpr std::string_view kPlain = "http://";
constexpr std::string_view kEncrypted = "https://";
constexpr std::size_t kLongestText = 512;
constexpr absl::Duration kLastWords = absl::Seconds(2);
constexpr absl::Duration kLogInterval = absl::Minutes(1);

std::string FromHex(std::string_view digits) {
  const auto value = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>((value(digits[i]) << 4U) | value(digits[i + 1]));
  }
  return bytes;
}

// A stranger wrote some of it: what is no UTF-8 would cost the whole message.
void AddText(otlp::KeyValue& attribute, std::string_view key, std::string_view value) {
  std::string text(value.substr(0, kLongestText));
  std::ranges::replace_if(
      text, [](char c) { return c < 0x20 || c >= 0x7f; }, '?');
  attribute.set_key(std::string(key));
  attribute.mutable_value()->set_string_value(std::move(text));
}

void Fill(const telemetry::Span& span, otlp::Span& out) {
  out.set_trace_id(FromHex(span.self.trace_id));
  out.set_span_id(FromHex(span.self.span_id));
  out.set_parent_span_id(FromHex(span.parent_id));
  out.set_name(span.name);
  out.set_kind(span.kind == telemetry::SpanKind::kServer ? otlp::Span::SPAN_KIND_SERVER : otlp::Span::SPAN_KIND_CLIENT);
  out.set_start_time_unix_nano(static_cast<std::uint64_t>(absl::ToUnixNanos(span.begun)));
  out.set_end_time_unix_nano(static_cast<std::uint64_t>(absl::ToUnixNanos(std::max(span.begun, span.ended))));
  for (const auto& [key, value] : span.attributes) AddText(*out.add_attributes(), key, value);
  if (!span.refused.empty()) AddText(*out.add_attributes(), "postern.reason", span.refused);
  if (!span.failed) return;
  out.mutable_status()->set_code(otlp::Status::STATUS_CODE_ERROR);
  out.mutable_status()->set_message(span.refused);
}

std::string HostName() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> CredentialsFor(const SpanExport& options) {
  if (options.endpoint.starts_with(kPlain)) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions ssl;
  if (!options.ca_file.empty()) {
    std::ifstream file(options.ca_file);
    ssl.pem_root_certs.assign(std::istreambuf_iterator<char>(file), {});
    if (ssl.pem_root_certs.empty()) {
      return Refuse(Reason::kInvalidArgument, fmt::format("otlp_ca_file: cannot read {}", options.ca_file));
    }
  }
  return grpc::SslCredentials(ssl);
}

}  // namespace

/// The other end: what it is told, and that every span is this process's.
class SpanExporter::Collector {
 public:
  Collector(const std::shared_ptr<grpc::Channel>& channel, const std::string& service_name)
      : stub_(otlp::TraceService::NewStub(channel)) {
    AddText(*resource_.add_attributes(), "service.name", service_name);
    AddText(*resource_.add_attributes(), "service.version", POSTERN_VERSION);
    AddText(*resource_.add_attributes(), "service.instance.id", fmt::format("{}:{}", HostName(), ::getpid()));
  }

  /// `rejected`: how many it did not take of a message that it took.
  grpc::Status Export(grpc::ClientContext& context, const std::deque<telemetry::Span>& spans, std::int64_t& rejected) {
    otlp::ExportTraceServiceRequest request;
    auto& of_process = *request.add_resource_spans();
    *of_process.mutable_resource() = resource_;
    auto& scope = *of_process.add_scope_spans();
    scope.mutable_scope()->set_name("postern");
    for (const telemetry::Span& span : spans) Fill(span, *scope.add_spans());
    otlp::ExportTraceServiceResponse response;
    grpc::Status status = stub_->Export(&context, request, &response);
    rejected = response.partial_success().rejected_spans();
    return status;
  }

 private:
  const std::unique_ptr<otlp::TraceService::Stub> stub_;
  otlp::Resource resource_;
};

absl::Status CheckEndpoint(const std::string& endpoint) {
  for (const std::string_view scheme : {kPlain, kEncrypted}) {
    if (!endpoint.starts_with(scheme)) continue;
    const std::string_view address = std::string_view(endpoint).substr(scheme.size());
    const std::size_t colon = address.rfind(':');
    if (colon != std::string_view::npos && colon > 0 && colon + 1 < address.size() &&
        address.find_first_not_of("0123456789", colon + 1) == std::string_view::npos) {
      return absl::OkStatus();
    }
  }
  if (endpoint.empty()) return absl::OkStatus();
  return Refuse(Reason::kInvalidArgument,
                fmt::format("otlp_endpoint: expected http://HOST:PORT or https://HOST:PORT, not '{}'", endpoint));
}

absl::StatusOr<std::unique_ptr<SpanExporter>> SpanExporter::Start(const SpanExport& options,
                                                                  telemetry::Metrics& metrics) {
  if (options.endpoint.empty()) return std::unique_ptr<SpanExporter>();
  if (absl::Status status = CheckEndpoint(options.endpoint); !status.ok()) return status;
  RouteGrpcLog();
  auto credentials = CredentialsFor(options);
  if (!credentials.ok()) return credentials.status();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  const std::string target = options.endpoint.substr(options.endpoint.find("//") + 2);
  auto collector =
      std::make_unique<Collector>(grpc::CreateCustomChannel(target, *credentials, arguments), options.service_name);
  std::unique_ptr<SpanExporter> exporter(new SpanExporter(options, std::move(collector), metrics));
  telemetry::SendSpansTo([taker = exporter.get()](telemetry::Span span) { taker->Take(std::move(span)); });
  return exporter;
}

SpanExporter::SpanExporter(SpanExport options, std::unique_ptr<Collector> collector, telemetry::Metrics& metrics)
    : options_(std::move(options)), collector_(std::move(collector)), metrics_(metrics), thread_([this] { Run(); }) {}

SpanExporter::~SpanExporter() {
  telemetry::SendSpansTo(nullptr);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    end_by_ = absl::Now() + kLastWords;
    if (sending_ != nullptr) sending_->TryCancel();  // it had its time; the last words get theirs
  }
  changed_.notify_all();
  thread_.join();
}

void SpanExporter::Take(telemetry::Span span) {
  bool is_full = false;
  bool is_enough = false;
  {
    const std::lock_guard lock(mutex_);
    is_full = stopping_ || waiting_.size() >= options_.queue_limit;
    if (!is_full) waiting_.push_back(std::move(span));
    is_enough = waiting_.size() == options_.most_at_once;
  }
  if (is_full) metrics_.Count("postern_spans_total", {{"result", "queue_full"}});
  if (is_enough) changed_.notify_one();
}

void SpanExporter::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait_for(lock, absl::ToChronoMilliseconds(options_.longest_wait),
                      [this] { return stopping_ || waiting_.size() >= options_.most_at_once; });
    if (waiting_.empty() || absl::Now() >= end_by_) {
      if (stopping_) return;
      continue;
    }
    const auto many = static_cast<std::ptrdiff_t>(std::min(waiting_.size(), options_.most_at_once));
    std::deque<telemetry::Span> spans(std::make_move_iterator(waiting_.begin()),
                                      std::make_move_iterator(waiting_.begin() + many));
    waiting_.erase(waiting_.begin(), waiting_.begin() + many);
    lock.unlock();
    Send(std::move(spans));
    lock.lock();
  }
}

void SpanExporter::Send(std::deque<telemetry::Span> spans) {
  grpc::ClientContext context;
  {
    const std::lock_guard lock(mutex_);
    context.set_deadline(absl::ToChronoTime(std::min(absl::Now() + options_.timeout, end_by_)));
    sending_ = &context;
  }
  std::int64_t rejected = 0;
  const grpc::Status status = collector_->Export(context, spans, rejected);
  {
    const std::lock_guard lock(mutex_);
    sending_ = nullptr;
  }
  const auto all = static_cast<double>(spans.size());
  const double failed = status.ok() ? std::min(static_cast<double>(rejected), all) : all;
  if (failed < all) metrics_.Count("postern_spans_total", {{"result", "sent"}}, all - failed);
  if (failed <= 0) return;
  metrics_.Count("postern_spans_total", {{"result", "failed"}}, failed);
  if (absl::Now() - last_logged_ < kLogInterval) return;
  last_logged_ = absl::Now();
  telemetry::Log(telemetry::Level::kWarning, "spans were not taken by the collector",
                 {{"detail", status.ok() ? std::string("it rejects them") : status.error_message()}});
}

}  // namespace postern::rpc
