// What the process tells Prometheus. Labels are bounded: route patterns, never paths. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "common/http/server.h"

namespace chunkvault::process {

class Metrics {
  public:
    explicit Metrics(const std::string& version);

    // chunkvault_requests_total{method,endpoint,status}, chunkvault_request_duration_seconds{method,endpoint} and the
    // bytes.
    void observe(const http::Exchange& exchange);

    // Lives as long as the Metrics. Several of one name have different labels.
    [[nodiscard]] prometheus::Counter& counter(const std::string& name, const std::string& help,
                                               const std::map<std::string, std::string>& labels = {});
    // A counter that is kept elsewhere: value is asked at each scrape and never falls.
    void counter(const std::string& name, const std::string& help, std::function<double()> value);
    // value is asked at each scrape, on the scraping thread, for as long as the Metrics lives.
    void gauge(const std::string& name, const std::string& help, std::function<double()> value);

    // Prometheus' text format, version 0.0.4.
    [[nodiscard]] std::string text();

  private:
    struct Seen {
        prometheus::Counter* count;
        prometheus::Histogram* time;
    };
    using Key = std::tuple<http::Method, std::string, int>;  // method, route, status
    using KeyView = std::tuple<http::Method, std::string_view, int>;
    struct KeyOrder {
        using is_transparent = void;
        bool operator()(const KeyView& a, const KeyView& b) const { return a < b; }
    };
    [[nodiscard]] Seen seen(const http::Exchange& exchange);

    prometheus::Registry registry_;
    prometheus::Family<prometheus::Counter>& requests_;
    prometheus::Family<prometheus::Histogram>& durations_;
    prometheus::Counter& bytesIn_;
    prometheus::Counter& bytesOut_;
    prometheus::Counter& cpuSeconds_;

    // Each route's own handles, so that a request does not build label maps.
    std::shared_mutex seenMutex_;
    std::map<Key, Seen, KeyOrder> seen_;

    std::mutex scrapeMutex_;
    std::vector<std::pair<prometheus::Gauge*, std::function<double()>>> gauges_;
    std::vector<std::pair<prometheus::Counter*, std::function<double()>>> counters_;
};

}  // namespace chunkvault::process
