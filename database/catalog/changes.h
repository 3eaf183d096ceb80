// What changed of what a user has, in order, for clients that keep lists fresh. Every change of the user's seq is here
// until it is old or too many came after it; downloads by links come in when somebody asks. Thread-safe.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "database/catalog/types.h"

namespace chunkvault::catalog {

class Database;

// As rows and answers name it: "share_created".
[[nodiscard]] std::string_view textOf(ChangeKind kind);

struct ChangesPage {
    std::vector<ChangeItem> items;  // of several changes of one thing only the last; downloads by one link summed up
    Revision next{};                // what to ask after next time
    bool more = false;              // there is more already
    bool reset = false;             // what came after cannot be told: items is empty, and all lists have to be read
};

class Changes {
  public:
    static constexpr std::int64_t rowsKept = 10'000;  // of one owner, and a few hundred more
    static constexpr int daysKept = 30;
    static constexpr int pageRows = 500;  // of one answer, and what else belongs to the last change

    Changes(Database& database, Clock clock) : database_(database), clock_(std::move(clock)) {}

    // What came after that revision, which this class gave, or which a list was of; nullopt: nothing, from now on.
    // reset when it is not a revision that the state of now goes on from, or is too old. Throws notFound for an unknown
    // user.
    [[nodiscard]] ChangesPage after(UserId owner, std::optional<Revision> revision);

    struct State {
        UserId owner;
        Revision revision;
        bool downloads;  // there are some that after will tell
    };
    // Of those of owners that there are: is there something new?
    [[nodiscard]] std::vector<State> poll(std::span<const UserId> owners);

    // Sweep: of the next limit users, takes away what is older than that.
    SweptWindow<UserId> expire(Timestamp before, UserId after, int limit);

  private:
    [[nodiscard]] bool takeDownloads(UserId owner);

    Database& database_;
    Clock clock_;
};

}  // namespace chunkvault::catalog
