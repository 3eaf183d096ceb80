// Many rows in one statement: sets of rows as "VALUES ($1, $2), ($3, $4), ...". Private to database/catalog.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "database/catalog/session.h"

namespace chunkvault::catalog {

// One statement in the few lengths that are prepared; a batch runs as the longest that fit, one after another. In the
// text, {rows} becomes the rows. Parameters beside them are common to all: $1, $2, ...; those of the rows follow.
// "WITH w (a, b) AS (VALUES {rows}) ..." works on both engines. No NULLs: PostgreSQL could not tell their type.
class BatchSql {
  public:
    BatchSql(std::string_view sql, std::size_t commonValues, std::size_t valuesOfRow) : valuesOfRow_(valuesOfRow) {
        const std::size_t at = sql.find("{rows}");
        for (std::size_t i = 0; i < lengths.size(); ++i) {
            std::string rows;
            std::size_t number = commonValues;
            for (std::size_t row = 0; row < lengths[i]; ++row) {
                for (std::size_t value = 0; value < valuesOfRow; ++value)
                    rows += (value > 0 ? ", $" : row > 0 ? ", ($" : "($") + std::to_string(++number);
                rows += ')';
            }
            texts_[i] = std::string(sql.substr(0, at)) + rows + std::string(sql.substr(at + 6));
        }
    }

    // rows: the values of one row after another. each is called for every row of the results.
    template <typename Each>
    void query(Session& session, const std::vector<Value>& common, const std::vector<Value>& rows, Each&& each) const {
        inPieces(common, rows,
                 [&](const std::string& sql, const std::vector<Value>& values) { session.query(sql, values, each); });
    }
    // As Session::executeLater.
    void executeLater(Session& session, const std::vector<Value>& common, const std::vector<Value>& rows) const {
        inPieces(common, rows,
                 [&](const std::string& sql, const std::vector<Value>& values) { session.executeLater(sql, values); });
    }

  private:
    template <typename Run>
    void inPieces(const std::vector<Value>& common, const std::vector<Value>& rows, Run&& run) const {
        std::vector<Value> values;
        std::size_t left = rows.size() / valuesOfRow_;
        for (auto next = rows.begin(); left > 0;) {
            std::size_t longest = 0;
            while (lengths[longest] > left) ++longest;
            const auto end = next + static_cast<std::ptrdiff_t>(lengths[longest] * valuesOfRow_);
            values.assign(common.begin(), common.end());
            values.insert(values.end(), next, end);
            run(texts_[longest], values);
            next = end;
            left -= lengths[longest];
        }
    }

    static constexpr std::array<std::size_t, 10> lengths = {512, 256, 128, 64, 32, 16, 8, 3, 2, 1};
    std::size_t valuesOfRow_;
    std::array<std::string, lengths.size()> texts_;
};

}  // namespace chunkvault::catalog
