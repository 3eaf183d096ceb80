// The Content-Disposition header (RFC 6266) for any file name.
#pragma once

#include <string>
#include <string_view>

namespace chunkvault::http {

enum class Disposition { attachment, inlined };

// 'attachment; filename="na_ve.txt"; filename*=UTF-8''na%C3%AFve.txt': a quoted ASCII form for old clients and, where
// it differs, the real name by RFC 8187. Any filename is safe: control characters and slashes become "_", what is not
// UTF-8 is replaced, and nothing can end the header or the quotes.
[[nodiscard]] std::string contentDisposition(Disposition disposition, std::string_view filename);

}  // namespace chunkvault::http
