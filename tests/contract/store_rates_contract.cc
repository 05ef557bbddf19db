// How much each origin asks of all gateways together (pitfall R02).
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <functional>

#include "tests/contract/store_contract.h"

namespace postern::contract {

namespace v1 = store::v1;
using matrix::Reason;
using store::v1::Store;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::vector<std::string> RatesContract::Share(const std::string& holder, const std::vector<std::string>& origins,
                                              std::int64_t requests, std::int64_t waiting, std::int64_t working,
                                              std::uint32_t milliseconds) {
  v1::ShareRatesRequest request;
  request.set_holder(holder);
  request.set_milliseconds(milliseconds);
  for (const std::string& name : origins) {
    auto& origin = *request.add_origins();
    origin.set_origin(name);
    origin.set_requests(requests);
    origin.set_waiting(waiting);
    origin.set_working(working);
  }
  v1::ShareRatesResponse response;
  const grpc::Status status = Call(&Store::Stub::ShareRates, request, response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  std::vector<std::string> told;
  for (const auto& origin : response.origins()) {
    told.push_back(fmt::format("{} {}/{}/{}", origin.origin(), origin.requests(), origin.waiting(), origin.working()));
  }
  return told;
}

TEST_P(RatesContract, EachIsToldTheSumsOfAllOthers) {
  EXPECT_THAT(Share("one", {"b.example"}, 10, 2, 1), IsEmpty()) << "nobody else is there";
  EXPECT_THAT(Share("two", {"b.example"}, 100, 20, 10), ElementsAre("b.example 10/2/1"));
  EXPECT_THAT(Share("three", {"b.example"}, 5, 0, 0), ElementsAre("b.example 110/22/11"));
  EXPECT_THAT(Share("one", {"b.example"}, 11, 2, 1), ElementsAre("b.example 105/20/10"));
}

TEST_P(RatesContract, OnlyOfTheOriginsThatItToldOf) {
  Share("one", {"b.example", "c.example", "d.example"}, 1);
  EXPECT_THAT(Share("two", {"c.example", "d.example", "e.example"}, 2),
              UnorderedElementsAre("c.example 1/0/0", "d.example 1/0/0"));
}

TEST_P(RatesContract, WhatIsToldAgainReplacesWhatWasTold) {
  Share("one", {"b.example"}, 10);
  Share("one", {"b.example"}, 3);
  EXPECT_THAT(Share("two", {"b.example"}), ElementsAre("b.example 3/0/0"));
}

TEST_P(RatesContract, WhatIsToldNoMoreIsForgotten) {
  Share("one", {"b.example", "c.example"}, 10);
  Share("one", {"c.example"}, 10);
  EXPECT_THAT(Share("two", {"b.example", "c.example"}), ElementsAre("c.example 10/0/0"));
  Share("one", {});
  EXPECT_THAT(Share("two", {"b.example", "c.example"}), IsEmpty());
}

TEST_P(RatesContract, NothingOutlivesItsTime) {
  Share("one", {"b.example"}, 10, 0, 0, 1);
  for (int attempt = 0; attempt < 10'000; ++attempt) {
    if (Share("two", {"b.example"}).empty()) return;
  }
  FAIL() << "it was never forgotten";
}

TEST_P(RatesContract, ANameIsBytes) {
  const std::string odd("b\\x00'\"{,}.example");
  Share("one", {odd}, 7);
  EXPECT_THAT(Share("two", {odd}), ElementsAre(odd + " 7/0/0"));
}

TEST_P(RatesContract, RefusesWhatCannotBeMeant) {
  const auto refused = [&](const std::function<void(v1::ShareRatesRequest&)>& alter) {
    v1::ShareRatesRequest request;
    request.set_holder("one");
    request.set_milliseconds(1000);
    request.add_origins()->set_origin("b.example");
    alter(request);
    v1::ShareRatesResponse response;
    return ReasonOf(Call(&Store::Stub::ShareRates, request, response));
  };
  EXPECT_EQ(refused([](auto&) {}), Reason::kNone);
  EXPECT_EQ(refused([](auto& r) { r.clear_holder(); }), Reason::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.set_milliseconds(0); }), Reason::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.set_milliseconds(60'001); }), Reason::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.add_origins(); }), Reason::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.add_origins()->set_origin("b.example"); }), Reason::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.mutable_origins(0)->set_requests(-1); }), Reason::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) {
              for (int i = 0; i < 1000; ++i) r.add_origins()->set_origin(fmt::format("s{}.example", i));
            }),
            Reason::kInvalidArgument);
}

}  // namespace postern::contract
