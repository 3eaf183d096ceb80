#include "common/process/metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <prometheus/text_serializer.h>

namespace chunkvault::process {

namespace {

// Seconds; from a cached look-up to a large transfer.
const prometheus::Histogram::BucketBoundaries buckets{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                      0.5,   1,      2.5,   5,    10,    30,   120};

double residentBytes() {
    std::ifstream file("/proc/self/statm");
    double total = 0, resident = 0;
    file >> total >> resident;
    return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double cpuSeconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double openDescriptors() {
    std::error_code ignored;
    const std::filesystem::directory_iterator folder("/proc/self/fd", ignored);
    return static_cast<double>(std::distance(begin(folder), end(folder)));
}

}  // namespace

Metrics::Metrics(const std::string& version)
    : requests_(
          prometheus::BuildCounter().Name("chunkvault_requests_total").Help("Requests answered").Register(registry_)),
      durations_(prometheus::BuildHistogram()
                     .Name("chunkvault_request_duration_seconds")
                     .Help("Time from a request's first byte to its answer's last")
                     .Register(registry_)),
      bytesIn_(counter("chunkvault_received_bytes_total", "Bytes of request bodies")),
      bytesOut_(counter("chunkvault_sent_bytes_total", "Bytes of answer bodies")),
      cpuSeconds_(counter("process_cpu_seconds_total", "User and system time")) {
    prometheus::BuildGauge()
        .Name("chunkvault_build_info")
        .Help("The running version")
        .Register(registry_)
        .Add({{"version", version}})
        .Set(1);
    gauge("process_resident_memory_bytes", "Resident memory", residentBytes);
    gauge("process_open_fds", "Open file descriptors", openDescriptors);
}

void Metrics::observe(const http::Exchange& exchange) {
    const Seen handles = seen(exchange);
    handles.count->Increment();
    handles.time->Observe(static_cast<double>(exchange.time.count()) * 1e-6);
    if (exchange.bytesIn > 0) bytesIn_.Increment(static_cast<double>(exchange.bytesIn));
    if (exchange.bytesOut > 0) bytesOut_.Increment(static_cast<double>(exchange.bytesOut));
}

Metrics::Seen Metrics::seen(const http::Exchange& exchange) {
    const KeyView key(exchange.method, exchange.route, exchange.status);
    {
        const std::shared_lock lock(seenMutex_);
        if (const auto found = seen_.find(key); found != seen_.end()) return found->second;
    }
    const std::string method(http::toString(exchange.method)),
        endpoint(exchange.route.empty() ? "none" : exchange.route);
    const std::unique_lock lock(seenMutex_);
    const Seen handles{
        &requests_.Add({{"method", method}, {"endpoint", endpoint}, {"status", std::to_string(exchange.status)}}),
        &durations_.Add({{"method", method}, {"endpoint", endpoint}}, buckets)};
    return seen_.emplace(Key(exchange.method, exchange.route, exchange.status), handles).first->second;
}

prometheus::Counter& Metrics::counter(const std::string& name, const std::string& help,
                                      const std::map<std::string, std::string>& labels) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry_).Add(labels);
}

void Metrics::counter(const std::string& name, const std::string& help, std::function<double()> value) {
    auto& made = counter(name, help);
    const std::lock_guard lock(scrapeMutex_);
    counters_.emplace_back(&made, std::move(value));
}

void Metrics::gauge(const std::string& name, const std::string& help, std::function<double()> value) {
    auto& made = prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add({});
    const std::lock_guard lock(scrapeMutex_);
    gauges_.emplace_back(&made, std::move(value));
}

std::string Metrics::text() {
    {
        const std::lock_guard lock(scrapeMutex_);
        for (const auto& [gauge, value] : gauges_) gauge->Set(value());
        for (const auto& [counter, value] : counters_) counter->Increment(value() - counter->Value());
        cpuSeconds_.Increment(cpuSeconds() - cpuSeconds_.Value());
    }
    return prometheus::TextSerializer().Serialize(registry_.Collect());
}

}  // namespace chunkvault::process
