#include "server/storage/zip_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <clocale>

#include "common/error/error.h"

namespace chunkvault::server {

namespace {

// libarchive takes names for UTF-8 only where the thread's locale says so.
class Utf8Here {
  public:
    Utf8Here() : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
        if (locale_ != nullptr) before_ = ::uselocale(locale_);
    }
    ~Utf8Here() {
        if (locale_ == nullptr) return;
        ::uselocale(before_);
        ::freelocale(locale_);
    }
    Utf8Here(const Utf8Here&) = delete;
    Utf8Here& operator=(const Utf8Here&) = delete;

    [[nodiscard]] bool there() const { return locale_ != nullptr; }

  private:
    locale_t locale_;
    locale_t before_ = nullptr;
};

[[noreturn]] void fail(std::string detail) {
    throw Error(ErrorCode::internal, "An internal error occurred.", "ZIP: " + std::move(detail));
}

}  // namespace

struct ZipWriter::Archive {
    Utf8Here utf8;
    ::archive* writer = ::archive_write_new();
    ::archive_entry* entry = ::archive_entry_new();

    Archive() = default;
    ~Archive() {
        ::archive_entry_free(entry);
        ::archive_write_free(writer);
    }
    Archive(const Archive&) = delete;
    Archive& operator=(const Archive&) = delete;

    void check(int result) const {
        if (result == ARCHIVE_OK) return;
        const char* text = ::archive_error_string(writer);
        fail(text == nullptr ? "refused" : text);
    }
};

ZipWriter::ZipWriter() : archive_(std::make_unique<Archive>()) {
    const Archive& archive = *archive_;
    if (!archive.utf8.there()) fail("the system has no locale C.UTF-8");
    if (archive.writer == nullptr || archive.entry == nullptr) fail("out of memory");
    archive.check(::archive_write_set_format_zip(archive.writer));
    archive.check(::archive_write_set_options(archive.writer, "zip:compression=store,zip:hdrcharset=UTF-8"));
    // No buffer of libarchive's own, and no padding at the end.
    archive.check(::archive_write_set_bytes_per_block(archive.writer, 0));
    archive.check(::archive_write_set_bytes_in_last_block(archive.writer, 1));
    const auto take = [](::archive*, void* self, const void* data, std::size_t size) -> la_ssize_t {
        auto& zip = *static_cast<ZipWriter*>(self);
        try {
            zip.made_.append(static_cast<const char*>(data), size);
            zip.madeMore_();
            return static_cast<la_ssize_t>(size);
        } catch (...) {  // nothing may be thrown through C
            zip.failure_ = std::current_exception();
            return -1;
        }
    };
    archive.check(::archive_write_open(archive.writer, this, nullptr, take, nullptr));
}

ZipWriter::~ZipWriter() {
    // An archive that was not finished would be completed on the way out, into a string that nobody reads.
    if (archive_) ::archive_write_fail(archive_->writer);
}

void ZipWriter::begin(std::string_view path, bool folder, std::int64_t size, Timestamp modifiedAt) {
    if (left_ != 0) fail("an entry is begun before the last one is whole");
    ::archive_entry* entry = ::archive_entry_clear(archive_->entry);
    ::archive_entry_set_pathname_utf8(entry, std::string(path).c_str());
    ::archive_entry_set_filetype(entry, folder ? AE_IFDIR : AE_IFREG);
    ::archive_entry_set_perm(entry, folder ? 0755 : 0644);
    ::archive_entry_set_size(entry, size);
    ::archive_entry_set_mtime(entry, std::max<std::int64_t>(modifiedAt / secondUs, INT32_MIN), 0);  // ZIP has 32 bits
    archive_->check(::archive_write_header(archive_->writer, entry));
    left_ = size;
}

void ZipWriter::addFolder(std::string_view path, Timestamp modifiedAt) { begin(path, true, 0, modifiedAt); }

void ZipWriter::beginFile(std::string_view path, std::int64_t size, Timestamp modifiedAt) {
    begin(path, false, size, modifiedAt);
}

void ZipWriter::write(std::span<const char> data) {
    const auto size = static_cast<std::int64_t>(data.size());
    if (size > left_) fail("an entry gets more bytes than were announced");
    if (::archive_write_data(archive_->writer, data.data(), data.size()) != size) archive_->check(ARCHIVE_FATAL);
    left_ -= size;
}

void ZipWriter::finish(const std::function<void()>& madeMore) {
    if (left_ != 0) fail("the last entry is not whole");
    madeMore_ = madeMore;
    const int result = ::archive_write_close(archive_->writer);
    madeMore_ = [] {};
    if (failure_) std::rethrow_exception(failure_);
    archive_->check(result);
}

}  // namespace chunkvault::server
