#include "configuration/settings.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <optional>
#include <utility>

#include "configuration/setting_value.h"
#include "configuration/yaml_file.h"

namespace postern::configuration {
namespace {

struct Key {
  std::string name;  // dotted
  std::string meaning;
  std::unique_ptr<SettingValue> value;
  CLI::Option* option = nullptr;  // of the command line being read
  std::string set_at;             // file and line, variable or flag that set it last
};

std::string FlagOf(std::string_view key) {
  std::string flag = "--";
  for (const char c : key) flag += c == '.' || c == '_' ? '-' : c;
  return flag;
}

std::string VariableOf(std::string_view key) {
  std::string variable = "POSTERN_";
  for (const char c : key) variable += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return variable;
}

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({changed, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row.back();
}

}  // namespace

struct Settings::Impl {
  std::string program;
  std::string purpose;
  std::vector<Key> keys;
  std::vector<std::function<absl::Status()>> checks;
  std::vector<std::function<std::vector<absl::Status>()>> file_checks;
  std::vector<std::string> mistakes;

  void Declare(std::string_view name, std::string_view meaning, std::unique_ptr<SettingValue> value) {
    keys.push_back({std::string(name), std::string(meaning), std::move(value), nullptr, {}});
  }

  Key* Find(std::string_view name) {
    const auto found = std::ranges::find(keys, name, &Key::name);
    return found == keys.end() ? nullptr : &*found;
  }

  bool IsGroup(std::string_view name) const {
    return std::ranges::any_of(keys, [&](const Key& key) {
      return key.name.size() > name.size() && key.name.starts_with(name) && key.name[name.size()] == '.';
    });
  }

  void Took(Key& key, std::string place, const Expected& expected) {
    if (expected) {
      mistakes.push_back(fmt::format("{}: {}: {}", place, key.name, *expected));
    } else {
      key.set_at = std::move(place);
    }
  }

  std::string DidYouMean(std::string_view name) const {
    const auto distance = [&](const Key& key) { return EditDistance(name, key.name); };
    const auto nearest = std::ranges::min_element(keys, {}, distance);
    const bool is_near = nearest != keys.end() && distance(*nearest) <= std::max<std::size_t>(2, name.size() / 4);
    return is_near ? fmt::format("; did you mean {}?", nearest->name) : "; --help lists all keys";
  }

  void TakeMap(const std::string& file, const std::string& prefix, const YamlValue& map) {
    for (const auto& [name, value] : map.members) {
      const std::string path = prefix + name;
      const std::string place = fmt::format("{}:{}", file, value.line);
      if (Key* key = Find(path)) {
        Took(*key, place, key->value->TakeYaml(value));
      } else if (!IsGroup(path)) {
        mistakes.push_back(fmt::format("{}: {}: unknown key{}", place, path, DidYouMean(path)));
      } else if (value.kind == YamlValue::Kind::kMap) {
        TakeMap(file, path + ".", value);
      } else if (value.kind != YamlValue::Kind::kNothing) {
        mistakes.push_back(fmt::format("{}: {}: expected a map of keys", place, path));
      }
    }
  }

  void TakeFile(const std::string& file) {
    const auto root = ReadYamlFile(file);
    if (!root.ok()) {
      mistakes.emplace_back(root.status().message());
    } else if (root->kind == YamlValue::Kind::kMap) {
      TakeMap(file, "", *root);
    } else if (root->kind != YamlValue::Kind::kNothing) {
      mistakes.push_back(fmt::format("{}:{}: expected a map of keys", file, root->line));
    }
  }

  void TakeEnvironment() {
    for (Key& key : keys) {
      if (key.value->only_in_file()) continue;
      const std::string variable = VariableOf(key.name);
      if (const char* text = std::getenv(variable.c_str())) Took(key, variable, key.value->TakeText(text));
    }
  }

  void TakeFlags() {
    for (Key& key : keys) {
      if (key.option == nullptr || key.option->count() == 0) continue;
      std::string text;
      for (const std::string& result : key.option->results()) text += (text.empty() ? "" : ",") + result;
      Took(key, FlagOf(key.name), key.value->TakeText(text));
    }
  }

  // A check names the key it is about first: where that was set is what the reader wants to know.
  void Note(const absl::Status& status) {
    if (status.ok()) return;
    const std::string message(status.message());
    const Key* key = Find(std::string_view(message).substr(0, message.find(':')));
    mistakes.push_back(key != nullptr && !key->set_at.empty() ? key->set_at + ": " + message : message);
  }

  void RunChecks() {
    for (const auto& check : checks) Note(check());
  }
  void RunFileChecks() {
    for (const auto& check : file_checks) {
      for (const absl::Status& status : check()) Note(status);
    }
  }

  void AddOption(Key& key, CLI::App& app) const {
    if (key.value->only_in_file()) return;
    if (key.value->is_flag()) {
      key.option = app.add_flag(FlagOf(key.name), std::as_const(key.meaning));
    } else {
      key.option = app.add_option(FlagOf(key.name), std::as_const(key.meaning))->type_name(key.value->TypeName());
      if (const std::string text = key.value->DefaultText(); !text.empty()) key.option->default_str(text);
    }
    if (dynamic_cast<ListValue*>(key.value.get()) != nullptr) {
      key.option->expected(-1)->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    }
    const std::size_t dot = key.name.rfind('.');
    if (dot != std::string::npos) key.option->group(key.name.substr(0, dot));
  }

  std::string Footer() const {
    std::string text =
        "Every flag is also a key of the file (--a-b is a_b; of a group g: `g: {a_b: …}`) and a variable of the "
        "environment "
        "(POSTERN_A_B, POSTERN_G_A_B). A flag goes before a variable, a variable before the file.\nTimes read 500ms, "
        "2s, 5m.";
    for (const Key& key : keys) {
      if (key.value->only_in_file()) text += fmt::format("\nOnly in the file: {} ({})", key.name, key.meaning);
    }
    return text;
  }
};

Settings::Settings(std::string program, std::string purpose) : impl_(std::make_unique<Impl>()) {
  impl_->program = std::move(program);
  impl_->purpose = std::move(purpose);
}
Settings::~Settings() = default;

void Settings::Text(std::string_view key, std::string* target, std::string_view meaning) {
  impl_->Declare(key, meaning, std::make_unique<TextValue>(target));
}

void Settings::Integer(std::string_view key, std::int64_t* target, std::int64_t least, std::int64_t most,
                       std::string_view meaning) {
  impl_->Declare(key, meaning, std::make_unique<IntegerValue>(target, least, most));
}

void Settings::Flag(std::string_view key, bool* target, std::string_view meaning) {
  impl_->Declare(key, meaning, std::make_unique<FlagValue>(target));
}

void Settings::Time(std::string_view key, absl::Duration* target, absl::Duration least, absl::Duration most,
                    std::string_view meaning) {
  impl_->Declare(key, meaning, std::make_unique<TimeValue>(target, least, most));
}

void Settings::List(std::string_view key, std::vector<std::string>* target, std::string_view meaning) {
  impl_->Declare(key, meaning, std::make_unique<ListValue>(target));
}

void Settings::Table(std::string_view key, std::vector<std::string> fields,
                     std::map<std::string, std::map<std::string, std::int64_t>>* target, std::string_view meaning) {
  impl_->Declare(key, meaning, std::make_unique<TableValue>(std::move(fields), target));
}

void Settings::Check(std::function<absl::Status()> check) { impl_->checks.push_back(std::move(check)); }
void Settings::CheckFiles(std::function<std::vector<absl::Status>()> check) {
  impl_->file_checks.push_back(std::move(check));
}

Start Settings::Read(int argc, const char* const* argv) {
  CLI::App app(impl_->purpose, impl_->program);
  app.set_version_flag("--version", impl_->program + " " POSTERN_VERSION);
  std::string file;
  bool only_check = false;
  bool without_files = false;
  app.add_option("--config", file, "YAML file to read first")->type_name("FILE")->envname("POSTERN_CONFIG");
  app.add_flag("--check-config", only_check,
               "say whether the settings, and the keys and certificates that they name, are good, and leave");
  app.add_flag("--without-files", without_files,
               "with --check-config: look into no key and no certificate; for where they are not at hand");
  for (Key& key : impl_->keys) impl_->AddOption(key, app);
  app.footer(impl_->Footer());
  app.get_formatter()->column_width(46);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& answered) {
    app.exit(answered, std::cout, std::cerr);
    return Start::kExitOk;
  } catch (const CLI::Error& mistake) {
    impl_->mistakes.emplace_back(mistake.what());
  }
  if (impl_->mistakes.empty()) {
    if (!file.empty()) impl_->TakeFile(file);
    impl_->TakeEnvironment();
    impl_->TakeFlags();
  }
  if (impl_->mistakes.empty()) impl_->RunChecks();
  if (impl_->mistakes.empty() && only_check && !without_files) impl_->RunFileChecks();
  for (const std::string& mistake : impl_->mistakes) std::cerr << impl_->program << ": " << mistake << '\n';
  if (!impl_->mistakes.empty()) return Start::kExitError;
  if (only_check) std::cout << impl_->program << ": the settings are good\n";
  return only_check ? Start::kExitOk : Start::kRun;
}

}  // namespace postern::configuration
