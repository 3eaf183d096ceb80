#include "common/process/metrics.h"

#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chunkvault::process {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

http::Exchange exchange(http::Method method, std::string_view route, int status, std::chrono::microseconds time) {
    return {.method = method,
            .route = route,
            .status = status,
            .bytesIn = 10,
            .bytesOut = 20,
            .time = time,
            .requestId = "r1",
            .clientAddress = "192.0.2.1",
            .truncated = false,
            .error = ""};
}

// The value of the line that begins with series; -1 when there is none.
double valueOf(const std::string& text, const std::string& series) {
    const auto at = ('\n' + text).find('\n' + series + ' ');
    return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 1));
}

TEST(Metrics, CountRequestsByRouteAndStatus) {
    Metrics metrics("1.2.3");
    using namespace std::chrono_literals;
    for (int i = 0; i < 3; ++i) metrics.observe(exchange(http::Method::get, "/files/{id}", 200, 2ms));
    metrics.observe(exchange(http::Method::get, "/files/{id}", 404, 700ms));
    metrics.observe(exchange(http::Method::post, "", 404, 1ms));
    const std::string text = metrics.text();
    EXPECT_EQ(valueOf(text, R"(chunkvault_requests_total{endpoint="/files/{id}",method="GET",status="200"})"), 3);
    EXPECT_EQ(valueOf(text, R"(chunkvault_requests_total{endpoint="/files/{id}",method="GET",status="404"})"), 1);
    EXPECT_EQ(valueOf(text, R"(chunkvault_requests_total{endpoint="none",method="POST",status="404"})"), 1);
    EXPECT_EQ(valueOf(text, R"(chunkvault_request_duration_seconds_count{endpoint="/files/{id}",method="GET"})"), 4);
    EXPECT_EQ(
        valueOf(text, R"(chunkvault_request_duration_seconds_bucket{endpoint="/files/{id}",method="GET",le="0.0025"})"),
        3);
    EXPECT_NEAR(valueOf(text, R"(chunkvault_request_duration_seconds_sum{endpoint="/files/{id}",method="GET"})"), 0.706,
                1e-6);
    EXPECT_EQ(valueOf(text, "chunkvault_received_bytes_total"), 50);
    EXPECT_EQ(valueOf(text, "chunkvault_sent_bytes_total"), 100);
    EXPECT_THAT(text, Not(HasSubstr("192.0.2.1")));
}

TEST(Metrics, AskGaugesAtEachScrape) {
    Metrics metrics("1.2.3");
    int value = 1;
    metrics.gauge("chunkvault_test", "A value", [&] { return value; });
    EXPECT_EQ(valueOf(metrics.text(), "chunkvault_test"), 1);
    value = 2;
    EXPECT_EQ(valueOf(metrics.text(), "chunkvault_test"), 2);
}

TEST(Metrics, KeepCounters) {
    Metrics metrics("1.2.3");
    auto& counter = metrics.counter("chunkvault_test_total", "Events");
    EXPECT_EQ(valueOf(metrics.text(), "chunkvault_test_total"), 0);
    counter.Increment(5);
    metrics.counter("chunkvault_test_total", "Events").Increment();
    EXPECT_EQ(valueOf(metrics.text(), "chunkvault_test_total"), 6);
}

TEST(Metrics, TellOfTheProcess) {
    Metrics metrics("1.2.3");
    const std::string text = metrics.text();
    EXPECT_EQ(valueOf(text, R"(chunkvault_build_info{version="1.2.3"})"), 1);
    EXPECT_GT(valueOf(text, "process_resident_memory_bytes"), 1e6);
    EXPECT_GT(valueOf(text, "process_open_fds"), 2);
    EXPECT_THAT(text, HasSubstr("# TYPE process_cpu_seconds_total counter"));
    const double before = valueOf(text, "process_cpu_seconds_total");
    EXPECT_GE(before, 0);
    double after = before;
    while (after == before) after = valueOf(metrics.text(), "process_cpu_seconds_total");
    EXPECT_GT(after, before);
}

TEST(Metrics, LoseNothingWhenThreadsObserveAndScrape) {
    Metrics metrics("1.2.3");
    {
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 4; ++thread)
            threads.emplace_back([&metrics, thread] {
                for (int i = 0; i < 1000; ++i)
                    metrics.observe(exchange(http::Method::get, "/" + std::to_string(i % 7), 200, {}));
                if (thread == 0) (void)metrics.text();
            });
    }
    const std::string text = metrics.text();
    double sum = 0;
    for (int i = 0; i < 7; ++i)
        sum += valueOf(
            text, "chunkvault_requests_total{endpoint=\"/" + std::to_string(i) + R"(",method="GET",status="200"})");
    EXPECT_EQ(sum, 4000);
}

}  // namespace
}  // namespace chunkvault::process
