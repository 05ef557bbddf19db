#include "tests/proto/compatibility.h"

#include <fmt/format.h>

namespace postern::proto {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

class Comparison {
 public:
  explicit Comparison(const DescriptorPool& now) : now_(now) {}

  void Compare(const FileDescriptor& file) {
    for (int i = 0; i < file.message_type_count(); ++i) Compare(*file.message_type(i));
    for (int i = 0; i < file.enum_type_count(); ++i) Compare(*file.enum_type(i));
    for (int i = 0; i < file.service_count(); ++i) Compare(*file.service(i));
  }
  std::vector<std::string> found;

 private:
  template <typename... Parts>
  void Note(fmt::format_string<Parts...> form, Parts&&... parts) {
    found.push_back(fmt::format(form, std::forward<Parts>(parts)...));
  }

  void Compare(const Descriptor& before) {
    for (int i = 0; i < before.nested_type_count(); ++i) Compare(*before.nested_type(i));
    for (int i = 0; i < before.enum_type_count(); ++i) Compare(*before.enum_type(i));
    const Descriptor* now = now_.FindMessageTypeByName(before.full_name());
    if (now == nullptr) return Note("message {} is gone", before.full_name());
    for (int i = 0; i < before.field_count(); ++i) Compare(*before.field(i), *now);
  }

  void Compare(const FieldDescriptor& before, const Descriptor& message) {
    const FieldDescriptor* now = message.FindFieldByNumber(before.number());
    if (now == nullptr) {
      if (!message.IsReservedNumber(before.number())) {
        Note("field {} is gone, and its number {} is not reserved", before.full_name(), before.number());
      }
      return;
    }
    if (TypeOf(*now) != TypeOf(before)) {
      Note("field {} was {} and is {}", before.full_name(), TypeOf(before), TypeOf(*now));
    }
  }

  /// All that a reader of the wire has to agree on.
  static std::string TypeOf(const FieldDescriptor& field) {
    std::string type = field.is_repeated() ? "repeated " : "";
    if (field.real_containing_oneof() != nullptr) type += "one of " + field.real_containing_oneof()->name() + ", ";
    if (field.message_type() != nullptr) return type + field.message_type()->full_name();
    if (field.enum_type() != nullptr) return type + field.enum_type()->full_name();
    return type + field.type_name();
  }

  void Compare(const EnumDescriptor& before) {
    const EnumDescriptor* now = now_.FindEnumTypeByName(before.full_name());
    if (now == nullptr) return Note("enum {} is gone", before.full_name());
    for (int i = 0; i < before.value_count(); ++i) {
      const auto& value = *before.value(i);
      const auto* same = now->FindValueByNumber(value.number());
      if (same == nullptr && !now->IsReservedNumber(value.number())) {
        Note("value {} is gone, and its number {} is not reserved", value.full_name(), value.number());
      } else if (same != nullptr && same->name() != value.name()) {
        Note("number {} of {} was {} and is {}", value.number(), before.full_name(), value.name(), same->name());
      }
    }
  }

  void Compare(const ServiceDescriptor& before) {
    const ServiceDescriptor* now = now_.FindServiceByName(before.full_name());
    if (now == nullptr) return Note("service {} is gone", before.full_name());
    for (int i = 0; i < before.method_count(); ++i) {
      const MethodDescriptor& method = *before.method(i);
      const MethodDescriptor* same = now->FindMethodByName(method.name());
      if (same == nullptr) {
        Note("rpc {} is gone", method.full_name());
      } else if (ShapeOf(*same) != ShapeOf(method)) {
        Note("rpc {} was {} and is {}", method.full_name(), ShapeOf(method), ShapeOf(*same));
      }
    }
  }

  static std::string ShapeOf(const MethodDescriptor& method) {
    return fmt::format("({}{}) returns ({}{})", method.client_streaming() ? "stream " : "",
                       method.input_type()->full_name(), method.server_streaming() ? "stream " : "",
                       method.output_type()->full_name());
  }

  const DescriptorPool& now_;
};

}  // namespace

std::vector<std::string> Incompatibilities(const DescriptorPool& before, const DescriptorPool& now,
                                           const std::vector<std::string>& files) {
  Comparison comparison(now);
  for (const std::string& file : files) comparison.Compare(*before.FindFileByName(file));
  return comparison.found;
}

}  // namespace postern::proto
