// What a declared key takes: text from a variable or a flag, or a piece of the file, into the target; or what was
// expected instead.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "configuration/yaml_file.h"

namespace postern::configuration {

/// What was expected, for people ("an integer from 1 to 9"); nullopt: the value was taken.
using Expected = std::optional<std::string>;
using IntegerTable = std::map<std::string, std::map<std::string, std::int64_t>>;

class SettingValue {
 public:
  virtual ~SettingValue() = default;

  /// From the environment or a flag. Lists are separated by commas.
  virtual Expected TakeText(const std::string& text) = 0;
  /// From the file. Everything but lists and tables is a scalar there.
  virtual Expected TakeYaml(const YamlValue& value);
  /// "INTEGER", for --help.
  virtual std::string TypeName() const = 0;
  /// What it is while nobody has set it, for --help; empty: nothing worth showing.
  virtual std::string DefaultText() const = 0;
  virtual bool is_flag() const { return false; }
  virtual bool only_in_file() const { return false; }
};

class TextValue : public SettingValue {
 public:
  explicit TextValue(std::string* target) : target_(target) {}
  Expected TakeText(const std::string& text) override;
  std::string TypeName() const override { return "TEXT"; }
  std::string DefaultText() const override { return *target_; }

 private:
  std::string* target_;
};

class IntegerValue : public SettingValue {
 public:
  IntegerValue(std::int64_t* target, std::int64_t least, std::int64_t most)
      : target_(target), least_(least), most_(most) {}
  Expected TakeText(const std::string& text) override;
  std::string TypeName() const override { return "INTEGER"; }
  std::string DefaultText() const override { return std::to_string(*target_); }

 private:
  std::int64_t* target_;
  std::int64_t least_;
  std::int64_t most_;
};

class FlagValue : public SettingValue {
 public:
  explicit FlagValue(bool* target) : target_(target) {}
  Expected TakeText(const std::string& text) override;
  std::string TypeName() const override { return "true|false"; }
  std::string DefaultText() const override { return *target_ ? "true" : "false"; }
  bool is_flag() const override { return true; }

 private:
  bool* target_;
};

class TimeValue : public SettingValue {
 public:
  TimeValue(absl::Duration* target, absl::Duration least, absl::Duration most)
      : target_(target), least_(least), most_(most) {}
  Expected TakeText(const std::string& text) override;
  std::string TypeName() const override { return "TIME"; }
  std::string DefaultText() const override { return absl::FormatDuration(*target_); }

 private:
  absl::Duration* target_;
  absl::Duration least_;
  absl::Duration most_;
};

class ListValue : public SettingValue {
 public:
  explicit ListValue(std::vector<std::string>* target) : target_(target) {}
  Expected TakeText(const std::string& text) override;
  Expected TakeYaml(const YamlValue& value) override;
  std::string TypeName() const override { return "A,B,…"; }
  std::string DefaultText() const override;

 private:
  std::vector<std::string>* target_;
};

class TableValue : public SettingValue {
 public:
  TableValue(std::vector<std::string> fields, IntegerTable* target) : fields_(std::move(fields)), target_(target) {}
  Expected TakeText(const std::string& text) override;
  Expected TakeYaml(const YamlValue& value) override;
  std::string TypeName() const override { return "TABLE"; }
  std::string DefaultText() const override { return ""; }
  bool only_in_file() const override { return true; }

 private:
  Expected TakeRow(const std::string& name, const YamlValue& row, IntegerTable& table) const;

  std::vector<std::string> fields_;
  IntegerTable* target_;
};

}  // namespace postern::configuration
