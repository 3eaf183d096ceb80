// Whether all programs of a cluster judge its nodes by the same times.
#pragma once

#include <optional>
#include <string>

#include "database/catalog/nodes.h"

namespace chunkvault::catalog {

// For one thread.
class NodeTimesCheck {
  public:
    // nodes must outlive this.
    NodeTimesCheck(Nodes& nodes, const NodeTimes& own) : nodes_(nodes), own_(own) {}

    // A sentence for the operator when another program was started with other times than these, once for each; else
    // empty. The first look leaves its own for the others. Throws Error unavailable.
    [[nodiscard]] std::string look();

  private:
    Nodes& nodes_;
    const NodeTimes own_;
    bool left_ = false;  // its own, for the others
    std::optional<NodeTimes> told_;
};

}  // namespace chunkvault::catalog
