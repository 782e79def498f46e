/*
 * Sessions that are saved and restored through lckv.hpp: to files, through callables, into caches
 * that are too small, and from bytes that are none of them.
 */
#include "check.hpp"
#include "folder.hpp"

#include <algorithm>

using tokens = std::vector<lckv_token>;

static lckv::cache cache_of(std::uint32_t max_sessions)
{
    lckv::cache_options options;
    options.max_sessions = max_sessions;
    return lckv::cache(bundled(), options);
}

/* A reader of a string that gives a few bytes at a time. */
static lckv::read_callback pieces_of(const std::string &bytes)
{
    return [&bytes, at = std::size_t(0)](lckv::span<char> buffer) mutable {
        const std::size_t n =
            bytes.copy(buffer.data(), std::min<std::size_t>(buffer.size(), 97), at);
        at += n;
        return n;
    };
}

static void files()
{
    const folder folder;
    lckv::cache cache = cache_of(3);
    lckv::session a(cache), b(cache);
    cache.evaluate({{a, {1, 2, 3, 4}, LCKV_WANT_NOTHING}, {b, {5, 6}, LCKV_WANT_NOTHING}});
    lckv::save_options saving;
    saving.note = std::string("n\0te", 4);
    std::uint64_t progress = 0;
    saving.progress = [&](std::uint64_t done, std::uint64_t) { progress = done; };
    lckv::sessions_save_file({a.get(), b.get()}, folder.path("saved"), saving);
    CHECK(progress > 0);
    a = lckv::session();
    b = lckv::session();
    std::string note;
    lckv::restore_options restoring;
    restoring.note = [&](std::string_view bytes) { note += bytes; };
    std::vector<lckv::session> restored =
        lckv::sessions_restore_file(cache, folder.path("saved"), restoring);
    CHECK(restored.size() == 2 && note == saving.note);
    CHECK(restored.at(0).tokens() == (tokens{1, 2, 3, 4}));
    CHECK(restored.at(1).tokens() == (tokens{5, 6}));
    /* Two are there, and two more would be one too many. */
    CHECK_FAILS(LCKV_CACHE_FULL, "", lckv::sessions_restore_file(cache, folder.path("saved")));
    restored.clear();
    CHECK_FAILS(LCKV_IO, "none", lckv::sessions_restore_file(cache, folder.path("none")));
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "NUL",
                lckv::sessions_restore_file(cache, folder.path("saved") + '\0'));
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", lckv::sessions_save_file({}, folder.path("empty")));
    CHECK(cache.stats().n_sessions == 0);
    CHECK_FAILS(LCKV_CACHE_FULL, "2 sessions",
                lckv::sessions_restore_file(cache_of(1), folder.path("saved")));
}

static void callables()
{
    lckv::cache cache = cache_of(2);
    lckv::session session(cache);
    cache.evaluate({{session, {7, 8, 9}, LCKV_WANT_LAST}});
    std::string bytes;
    lckv::sessions_save({session.get()}, [&](std::string_view piece) { bytes += piece; });
    lckv::cache other = cache_of(1);
    lckv::session restored = std::move(lckv::sessions_restore(other, pieces_of(bytes)).at(0));
    CHECK(restored.tokens() == session.tokens());
    CHECK(restored.read_kv(0, 0, 3).values == session.read_kv(0, 0, 3).values);
    restored = lckv::session();
    const std::string half = bytes.substr(0, bytes.size() / 2);
    CHECK_FAILS(LCKV_BAD_FORMAT, "", lckv::sessions_restore(other, pieces_of(half)));
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    CHECK_FAILS(LCKV_BAD_FORMAT, "", lckv::sessions_restore(other, pieces_of(bytes)));
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", lckv::sessions_restore(other, nullptr));
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", lckv::sessions_save({session.get()}, nullptr));
    CHECK(other.stats().n_sessions == 0 && !story(other).empty());
}

int main()
{
    return run({files, callables});
}
