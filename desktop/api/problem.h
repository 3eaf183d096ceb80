// What went wrong with a call, in the user's words.
#pragma once

#include <QString>

namespace chunkvault::desktop {

struct Problem {
    enum class Kind {
        offline,             // no answer: no network, no such host, refused, cut, too slow
        notChunkVault,       // something answers that is not a ChunkVault server
        certificateUnknown,  // nobody vouches for the server's certificate; fingerprint is set
        certificateChanged,  // it is not the one that was accepted; fingerprint is set
        signedOut,           // the session has ended: sign in again
        refused,             // the server says why in text
        busy,                // 429 or 503: again after retryAfterS
        broken,              // the server failed
    };
    Kind kind;
    QString text;         // a sentence or two for the user; of the server's own words where it has some
    int status = 0;       // HTTP; 0: no answer came
    QString type;         // the server's name of the error, such as "not_found"; empty when it gave none
    int retryAfterS = 0;  // of busy; 0: not said
    QString requestId;    // for who looks into the server's log
    QString fingerprint;  // of a certificate: SHA-256, as "AB:CD:..."

    // Whether the same call may succeed later without anybody doing anything.
    [[nodiscard]] bool passes() const { return kind == Kind::offline || kind == Kind::busy || kind == Kind::broken; }
};

}  // namespace chunkvault::desktop
