// Where the chunk stores of a server come from: folders of its own, or the storage nodes of a cluster.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "server/api/call.h"
#include "server/storage/replicated_chunk_store.h"
#include "worker/jobs/stores.h"

namespace chunkvault::server {

// Thread-safe.
class StoreSource {
  public:
    virtual ~StoreSource() = default;

    // As jobs and sweeps use them.
    [[nodiscard]] virtual std::vector<worker::LiveStore> live() const = 0;
    [[nodiscard]] virtual std::map<std::string, StoreHealth> health() const = 0;    // by node id
    [[nodiscard]] virtual std::string nodeIdOf(catalog::StoreRow store) const = 0;  // empty when it is not known
    // Looks again. True when the live stores are not those of before. Throws Error when it cannot look.
    virtual bool check() = 0;

    // The live ones, as uploads and downloads use them.
    [[nodiscard]] virtual std::vector<Replica> replicas() const { return replicasOf(live()); }

  protected:
    [[nodiscard]] static std::vector<Replica> replicasOf(const std::vector<worker::LiveStore>& live) {
        std::vector<Replica> replicas;
        for (const worker::LiveStore& store : live)
            replicas.push_back(
                {store.row, store.store, store.zone, store.capacityBytes, store.acceptsNewChunks, store.answers});
        return replicas;
    }
};

}  // namespace chunkvault::server
