#include "worker/queue/redis_queue.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <exception>
#include <random>

#include "common/error/error.h"
#include "common/wire/secrets.h"
#include "common/wire/utf8.h"

namespace chunkvault::worker {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr const char* group = "workers";
constexpr std::size_t maxWhatBytes = 500;  // of a failure in the dead list
constexpr milliseconds longestBackoff{2'000};
constexpr milliseconds longestTick{250};

// What the scripts share. Each entry of the two streams is one job that waits or runs, each member of `delayed` one
// that waits for its next try, and `known` has the state of both kinds. Consumers take from `jobs` first, where the
// urgent ones are. An entry is named by the number of its stream and its id there. One script changes all of them at
// once, so they agree whenever a worker dies. Times are of Redis, so that the workers' clocks do not matter. A
// consumer's name ends in its lease, so that whoever looks after an entry goes by the lease of the worker that has it.
constexpr const char* prelude = R"(
local jobs, known, delayed, dead, order, later = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local streams = {jobs, later}
local group, consumer = ARGV[1], ARGV[2]
local queued, tries, backoff, lease, most = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6],
                                            tonumber(ARGV[7])
local urgent = ARGV[8]
local first, second, third, fourth = ARGV[9], ARGV[10], ARGV[11], ARGV[12]

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
local function enqueue(job, failures)
  redis.call('HSET', known, job, 'waiting')
  local kind = string.match(job, '^([%l_]+):')
  local stream = kind and string.find(urgent, ' ' .. kind .. ' ', 1, true) and jobs or later
  redis.call('XADD', stream, '*', 'job', job, 'failures', failures)
end
local function post(job)
  local state = redis.call('HGET', known, job)
  if not state then
    enqueue(job, 0)
  elseif state == 'running' then
    redis.call('HSET', known, job, 'again')
  end
end
local function find(entry)
  local number, id = string.match(entry, '^(%d) (.*)$')
  return streams[tonumber(number)], id
end
local function owns(entry)
  local stream, id = find(entry)
  local pending = redis.pcall('XPENDING', stream, group, id, id, 1, consumer)
  return not pending.err and #pending > 0
end
local function remove(entry)
  local stream, id = find(entry)
  redis.call('XACK', stream, group, id)
  redis.call('XDEL', stream, id)
end
local function field(fields, name)
  for i = 1, #fields, 2 do
    if fields[i] == name then return fields[i + 1] end
  end
end
local function leaseOf(name)
  return string.match(name, '/(%d+)$') or lease
end
local function unbury(job)
  redis.call('HDEL', dead, job)
  redis.call('ZREM', order, job)
end
local function leave(job)
  if redis.call('HGET', known, job) == 'again' then
    enqueue(job, 0)
  else
    redis.call('HDEL', known, job)
  end
end
local function bury(job, failures, what)
  local since = now()
  redis.call('HSET', dead, job, string.format('%d %.0f %s', failures, since, what))
  redis.call('ZADD', order, since, job)
  for _, old in ipairs(redis.call('ZRANGE', order, 0, -most - 1)) do unbury(old) end
  leave(job)
end
local function fail(job, failures, what, delay)
  failures = failures + 1
  if failures >= tries then
    bury(job, failures, what)
  elseif delay then
    redis.call('HSET', known, job, 'waiting')
    redis.call('ZADD', delayed, now() + backoff * 2 ^ (failures - 1) * 1000, failures .. ' ' .. job)
  else
    enqueue(job, failures)
  end
end
)";

// first: the job. How long the queue is, or -1 when it is full.
constexpr const char* postScript = R"(
local length = redis.call('HLEN', known)
if length >= queued and not redis.call('HGET', known, first) then return -1 end
post(first)
return length
)";

// first: the entry, second: its job. From here on a post of it means once more.
constexpr const char* beginScript = R"(
if not owns(first) then return 0 end
redis.call('HSET', known, second, 'running')
return 1
)";

// Gives an entry back that was not begun, or was broken off. first: the entry, second: its job, third: its failures.
constexpr const char* releaseScript = R"(
if not owns(first) then return 0 end
remove(first)
enqueue(second, third)
return 1
)";

// first: the entry, second: its job.
constexpr const char* doneScript = R"(
if not owns(first) then return 0 end
remove(first)
unbury(second)
leave(second)
return 1
)";

// first: the entry, second: its job, third: its failures before, fourth: what went wrong.
constexpr const char* failedScript = R"(
if not owns(first) then return 0 end
remove(first)
fail(second, tonumber(third), fourth, true)
return 1
)";

// An entry that nobody here can run. The arguments are those of failedScript.
constexpr const char* buryScript = R"(
if not owns(first) then return 0 end
remove(first)
bury(second, tonumber(third), fourth)
return 1
)";

// first: 1 to renew the leases of the entries from the second argument on. How long the queue is.
constexpr const char* tendScript = R"(
for i = 10, #ARGV do
  local stream, id = find(ARGV[i])
  if owns(ARGV[i]) then redis.call('XCLAIM', stream, group, consumer, 0, id, 'JUSTID') end
end
for number, stream in ipairs(streams) do
  local workers = redis.pcall('XINFO', 'CONSUMERS', stream, group)
  if workers.err then
    redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
    workers = {}
  end
  for _, worker in ipairs(workers) do
    local name = field(worker, 'name')
    if field(worker, 'pending') > 0 then
      for _, taken in ipairs(redis.call('XPENDING', stream, group, 'IDLE', leaseOf(name), '-', '+', 100, name)) do
        local found = redis.call('XRANGE', stream, taken[1], taken[1])
        remove(number .. ' ' .. taken[1])
        if found[1] then
          local job, failures = field(found[1][2], 'job'), field(found[1][2], 'failures')
          fail(job or '', tonumber(failures) or 0, 'its worker went silent', false)
        end
      end
    elseif first == '1' and field(worker, 'idle') > 3600000 then
      redis.call('XGROUP', 'DELCONSUMER', stream, group, name)
    end
  end
end

local time = now()
for _, due in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', time, 'LIMIT', 0, 100)) do
  local failures, job = string.match(due, '^(%d+) (.*)$')
  redis.call('ZREM', delayed, due)
  if job then enqueue(job, failures) end
end

-- Only what came from elsewhere, or what Redis gave up for want of memory, makes these differ.
if redis.call('HLEN', known) ~= redis.call('XLEN', jobs) + redis.call('XLEN', later) + redis.call('ZCARD', delayed) then
  local states = {}
  for _, stream in ipairs(streams) do
    local running = {}
    for _, taken in ipairs(redis.call('XPENDING', stream, group, '-', '+', 10000)) do running[taken[1]] = true end
    for _, item in ipairs(redis.call('XRANGE', stream, '-', '+')) do
      local job = field(item[2], 'job') or ''
      if running[item[1]] then
        states[job] = redis.call('HGET', known, job) == 'again' and 'again' or 'running'
      elseif states[job] then
        redis.call('XDEL', stream, item[1])
        if states[job] == 'running' then states[job] = 'again' end
      else
        states[job] = 'waiting'
      end
    end
  end
  for _, member in ipairs(redis.call('ZRANGE', delayed, 0, -1)) do
    local job = string.match(member, '^%d+ (.*)$')
    if not job or states[job] then
      redis.call('ZREM', delayed, member)
    else
      states[job] = 'waiting'
    end
  end
  redis.call('DEL', known)
  for job, state in pairs(states) do redis.call('HSET', known, job, state) end
end
return redis.call('HLEN', known)
)";

// first: how many.
constexpr const char* deadScript = R"(
local list = {}
for _, job in ipairs(redis.call('ZREVRANGE', order, 0, first - 1)) do
  list[#list + 1] = {job, redis.call('HGET', dead, job) or ''}
end
return list
)";

// first: the dead job.
constexpr const char* retryScript = R"(
if redis.call('HEXISTS', dead, first) == 0 then return 0 end
unbury(first)
post(first)
return 1
)";

std::string inMs(milliseconds time) { return std::to_string(time.count()); }

// Unlike that of any process before: what a dead worker left must not look like this one's. Its end is the lease.
std::string newConsumer(milliseconds lease) {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
    std::random_device random;
    return std::string(host.data()) + '-' + std::to_string(::getpid()) + '-' + std::to_string(random()) + '/' +
           inMs(lease);
}

std::int64_t takeNumber(std::string_view& text) {
    std::int64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return 0;
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    if (text.starts_with(' ')) text.remove_prefix(1);
    return number;
}

// "failures since what", as the scripts write it.
DeadJob deadJob(const std::string& job, std::string_view value) {
    DeadJob dead{parseJob(job), 0, {}, 0};
    dead.failures = static_cast<int>(takeNumber(value));
    dead.since = takeNumber(value);
    dead.what = wire::validUtf8(value);
    if (dead.job.kind == JobKind::unknown) dead.what += ": \"" + wire::validUtf8(job) + '"';
    return dead;
}

// As the scripts look for them: " repair_chunk verify_chunk ".
const std::string& urgentKinds() {
    static const std::string names = [] {
        std::string all = " ";
        for (const JobKind kind : {JobKind::repairChunk, JobKind::rebalanceChunk, JobKind::trimChunk,
                                   JobKind::verifyChunk, JobKind::removeChunk, JobKind::verifyContent, JobKind::purge})
            if (isUrgent(kind)) all += std::string(toString(kind)) + ' ';
        return all;
    }();
    return names;
}

}  // namespace

std::string redisPrefix(std::string_view clusterSecret) {
    constexpr std::size_t digits = 16;
    const std::string key = deriveKey(clusterSecret, "chunkvault redis prefix v1");
    return "chunkvault:{" + Sha256Digest::of(key).toHex().substr(0, digits) + '}';
}

RedisQueue::RedisQueue(const RedisQueueSettings& settings, std::function<void(const Job&)> run,
                       std::function<void(const Job&, const char*, bool)> onFailure,
                       std::function<void(const std::string&)> onTrouble)
    : settings_(settings),
      run_(std::move(run)),
      onFailure_(std::move(onFailure)),
      onTrouble_(std::move(onTrouble)),
      consumer_(newConsumer(settings.lease)),
      keys_{settings.prefix + ":jobs", settings.prefix + ":known",      settings.prefix + ":delayed",
            settings.prefix + ":dead", settings.prefix + ":dead_order", settings.prefix + ":later"},
      pool_(settings.address, settings.posting) {
    keeper_ = std::thread([this] { keep(); });
    for (int i = 1; i <= settings_.consumers; ++i) consumers_.emplace_back([this, i] { consume(i); });
}

RedisQueue::~RedisQueue() { stop(); }

void RedisQueue::stop() {
    const auto set = [&](bool& flag) {
        {
            const std::lock_guard lock(mutex_);
            flag = true;
        }
        wake_.notify_all();
    };
    set(stopping_);
    for (std::thread& thread : consumers_)
        if (thread.joinable()) thread.join();
    set(ending_);
    if (keeper_.joinable()) keeper_.join();
}

RedisQueue::Words RedisQueue::script(const char* body, const Words& arguments) const {
    Words command{"EVAL", std::string(prelude) + body, std::to_string(keys_.size())};
    command.insert(command.end(), keys_.begin(), keys_.end());
    for (std::string& word :
         Words{group, consumer_, std::to_string(settings_.queued), std::to_string(settings_.tries),
               inMs(settings_.firstBackoff), inMs(settings_.lease), std::to_string(settings_.dead), urgentKinds()})
        command.push_back(std::move(word));
    command.insert(command.end(), arguments.begin(), arguments.end());
    return command;
}

void RedisQueue::post(const Job& job) noexcept {
    try {
        if (isSet(stopping_)) return;
        if (pool_.call(script(postScript, {toString(job)})).integer >= 0) return;
    } catch (const std::exception&) {  // the next sweep posts it again
    }
    ++dropped_;
}

std::size_t RedisQueue::length() const {
    try {
        length_ = static_cast<std::size_t>(pool_.call({"HLEN", keys_[1]}).integer);
    } catch (const Error&) {
        return length_;
    }
    return length_;
}

std::vector<DeadJob> RedisQueue::dead(int limit) const {
    std::vector<DeadJob> jobs;
    if (limit <= 0) return jobs;
    for (const RedisReply& item : pool_.call(script(deadScript, {std::to_string(limit)})).items)
        if (item.items.size() == 2) jobs.push_back(deadJob(item.items[0].text, item.items[1].text));
    return jobs;
}

int RedisQueue::retryDead(const std::optional<Job>& job) {
    int posted = 0;
    for (const RedisReply& member : pool_.call({"ZRANGE", keys_[4], "0", "-1"}).items)
        if (!job || parseJob(member.text) == *job)
            posted += static_cast<int>(pool_.call(script(retryScript, {member.text})).integer);
    return posted;
}

std::string RedisQueue::trouble() const {
    const std::lock_guard lock(troubleMutex_);
    return troubles_.empty() ? std::string() : troubles_.begin()->second;
}

void RedisQueue::note(int number, const std::string& what) {
    const std::lock_guard lock(troubleMutex_);
    const bool before = troubles_.empty();
    if (what.empty()) {
        troubles_.erase(number);
    } else {
        troubles_[number] = what;
    }
    if (troubles_.empty() != before) onTrouble_(what);
}

bool RedisQueue::isSet(const bool& flag) {
    const std::lock_guard lock(mutex_);
    return flag;
}

void RedisQueue::pause(milliseconds time, const bool& flag) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, time, [&] { return flag; });
}

void RedisQueue::keep() {
    RedisConnection redis(settings_.address, settings_.times);
    const milliseconds renewal = settings_.lease / 3;
    const milliseconds tick = std::clamp(std::min(renewal, settings_.firstBackoff), milliseconds(5), longestTick);
    auto nextRenewal = steady_clock::now();
    while (!isSet(ending_)) {
        try {
            const bool renew = steady_clock::now() >= nextRenewal;
            tend(redis, renew);
            if (renew) nextRenewal = steady_clock::now() + renewal;
            note(0, {});
        } catch (const std::exception& error) {
            note(0, error.what());
        }
        pause(tick, ending_);
    }
}

void RedisQueue::tend(RedisConnection& redis, bool renew) {
    Words arguments{renew ? "1" : "0"};
    if (renew) {
        const std::lock_guard lock(mutex_);
        for (const auto& [entry, job] : running_) arguments.push_back(entry);
    }
    length_ = static_cast<std::size_t>(redis.call(script(tendScript, arguments)).integer);
}

void RedisQueue::consume(int number) {
    RedisConnection redis(settings_.address, settings_.times);
    milliseconds backoff{0};
    while (!isSet(stopping_)) {
        try {
            const auto taken = take(redis);
            note(number, {});
            backoff = milliseconds(0);
            if (taken) work(redis, *taken);
        } catch (const std::exception& error) {
            note(number, error.what());
            backoff = std::clamp(backoff * 2, milliseconds(50), longestBackoff);
            pause(backoff, stopping_);
        }
    }
}

std::optional<RedisQueue::Taken> RedisQueue::take(RedisConnection& redis) {
    auto taken = read(redis, {"STREAMS", keys_[0], ">"}, milliseconds(0));
    if (taken.empty())
        taken = read(redis, {"BLOCK", inMs(settings_.block), "STREAMS", keys_[0], keys_[5], ">", ">"}, settings_.block);
    if (taken.empty()) return std::nullopt;
    // One of each stream at the same moment: this thread does one.
    for (std::size_t i = 1; i < taken.size(); ++i)
        finish(redis, releaseScript, {taken[i].entry, taken[i].text, std::to_string(taken[i].failures)});
    return taken.front();
}

std::vector<RedisQueue::Taken> RedisQueue::read(RedisConnection& redis, const Words& what, milliseconds wait) {
    Words command{"XREADGROUP", "GROUP", group, consumer_, "COUNT", "1"};
    command.insert(command.end(), what.begin(), what.end());
    const RedisReply reply = redis.ask(command, wait);
    // Redis was emptied, or is new.
    if (reply.isError("NOGROUP") || reply.isError("UNBLOCKED")) {
        for (const std::string* stream : {&keys_[0], &keys_[5]}) {
            const RedisReply made = redis.ask({"XGROUP", "CREATE", *stream, group, "0", "MKSTREAM"});
            if (made.kind == RedisReply::Kind::error && !made.isError("BUSYGROUP"))
                throw Error(ErrorCode::unavailable, "A part of the server does not answer. Try again soon.", made.text);
        }
        return {};
    }
    if (reply.kind == RedisReply::Kind::error)
        throw Error(ErrorCode::unavailable, "A part of the server does not answer. Try again soon.", reply.text);
    // [[stream, [[entry, [field, value, ...]]]], ...]
    std::vector<Taken> taken;
    for (const RedisReply& stream : reply.items) {
        if (stream.items.size() < 2 || stream.items[1].items.empty()) continue;
        const std::vector<RedisReply>& entry = stream.items[1].items[0].items;
        if (entry.size() < 2) continue;
        Taken one{(stream.items[0].text == keys_[0] ? "1 " : "2 ") + entry[0].text, {}, 0};
        const std::vector<RedisReply>& fields = entry[1].items;
        for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
            if (fields[i].text == "job") one.text = fields[i + 1].text;
            std::string_view number = fields[i + 1].text;
            if (fields[i].text == "failures") one.failures = static_cast<int>(takeNumber(number));
        }
        taken.push_back(std::move(one));
    }
    return taken;
}

void RedisQueue::work(RedisConnection& redis, const Taken& taken) {
    const std::string failuresText = std::to_string(taken.failures);
    const Job job = parseJob(taken.text);
    if (job.kind == JobKind::unknown) {
        constexpr const char* what = "this version does not know such jobs";
        onFailure_(job, what, true);
        return finish(redis, buryScript, {taken.entry, taken.text, failuresText, what});
    }
    if (isSet(stopping_)) return finish(redis, releaseScript, {taken.entry, taken.text, failuresText});
    if (redis.call(script(beginScript, {taken.entry, taken.text})).integer == 0) return;
    const auto setRunning = [&](bool runs) {
        const std::lock_guard lock(mutex_);
        if (runs) {
            running_.emplace(taken.entry, taken.text);
        } else {
            running_.erase(taken.entry);
        }
    };
    setRunning(true);
    std::optional<std::string> failure;
    bool stopped = false;
    try {
        run_(job);
    } catch (const JobStopped&) {
        stopped = true;
    } catch (const std::exception& error) {
        failure = std::string(error.what()).substr(0, maxWhatBytes);
    }
    if (failure) onFailure_(job, failure->c_str(), taken.failures + 1 >= settings_.tries);
    setRunning(false);
    if (stopped) {
        finish(redis, releaseScript, {taken.entry, taken.text, failuresText});
        return pause(settings_.firstBackoff, stopping_);  // it is stopped soon, and takes it no more
    }
    if (failure) return finish(redis, failedScript, {taken.entry, taken.text, failuresText, *failure});
    finish(redis, doneScript, {taken.entry, taken.text});
}

void RedisQueue::finish(RedisConnection& redis, const char* body, const Words& arguments) {
    try {
        redis.call(script(body, arguments));
    } catch (const Error&) {
        // The connection may have been closed during a long job. The scripts do nothing the second time.
        redis.call(script(body, arguments));
    }
}

}  // namespace chunkvault::worker
