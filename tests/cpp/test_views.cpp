/*
 * lckv::span, lckv::logits_view, callables, and what the types promise to the compiler. tests/abi/
 * check_header.sh runs this with every compiler in every standard.
 */
#include "lckv.hpp"

#include <array>
#include <cstdio>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

static int n_failed = 0;

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            std::fprintf(stderr, "FAIL %s:%d: %s\n", __FILE__, __LINE__, #condition); \
            n_failed++;                                                               \
        }                                                                             \
    } while (false)

using tokens = lckv::span<const lckv_token>;

template <class Handle> constexpr bool moves_only()
{
    return !std::is_copy_constructible_v<Handle> && !std::is_copy_assignable_v<Handle> &&
           std::is_nothrow_move_constructible_v<Handle> &&
           std::is_nothrow_move_assignable_v<Handle> && std::is_nothrow_swappable_v<Handle> &&
           std::is_nothrow_default_constructible_v<Handle>;
}
static_assert(moves_only<lckv::plan>() && moves_only<lckv::pool>() && moves_only<lckv::model>() &&
              moves_only<lckv::cache>() && moves_only<lckv::session>() &&
              moves_only<lckv::sampler>() && moves_only<lckv::detokenizer>());
static_assert(sizeof(lckv::session) == sizeof(lckv_session *));
static_assert(!std::is_convertible_v<lckv_model *, lckv::model>);

/* Arrays of these go to the library as arrays of the C struct. */
static_assert(sizeof(lckv::message) == sizeof(lckv_message));

/* What is written into a temporary container would be lost, and a view is no container. */
using floats = std::vector<float>;
template <class Rows, class = void> constexpr bool logits_go_to = false;
template <class Rows>
constexpr bool logits_go_to<
    Rows, std::void_t<decltype(std::declval<lckv::item &>().logits_to(std::declval<Rows>()))>> =
    true;
static_assert(logits_go_to<floats &> && !logits_go_to<floats> && !logits_go_to<const floats &>);
static_assert(logits_go_to<lckv::span<float>> && !logits_go_to<lckv::span<const float>>);
static_assert(!logits_go_to<std::array<float, 4>> && logits_go_to<std::array<float, 4> &>);
static_assert(std::is_constructible_v<lckv::span<const float>, floats> &&
              std::is_constructible_v<lckv::span<const float>, const floats>);

/* An element of another size or a constant one must not pass for what the span has. */
static_assert(!std::is_convertible_v<std::vector<lckv::item>, lckv::span<const lckv_item>>);
static_assert(!std::is_convertible_v<std::vector<std::int64_t>, tokens>);
static_assert(!std::is_convertible_v<const std::vector<float> &, lckv::span<float>>);
static_assert(std::is_convertible_v<lckv::span<float>, lckv::span<const float>>);
static_assert(!std::is_constructible_v<lckv::token_callback, int (*)(lckv_token)>);

static std::size_t sum(tokens list)
{
    std::size_t result = 0;
    for (lckv_token token : list)
        result += static_cast<std::size_t>(token);
    return result;
}

static void spans()
{
    const std::vector<lckv_token> vector{1, 2, 3};
    const std::array<lckv_token, 2> array{4, 5};
    lckv_token plain[] = {6, 7, 8, 9};
    CHECK(tokens(vector).data() == vector.data());
    CHECK(sum(vector) == 6 && sum(array) == 9 && sum(plain) == 30);
    CHECK(sum({}) == 0 && sum({10, 20}) == 30 && sum({vector.data(), 2}) == 3);
    CHECK(sum(std::vector<lckv_token>{5, 6}) == 11);
    lckv::span<lckv_token> changed = plain;
    changed[0] = 1;
    CHECK(plain[0] == 1 && sum(changed) == 25 && changed.size() == 4 && !changed.empty());
    CHECK(sum(changed.subspan(1)) == 24 && sum(changed.subspan(1, 2)) == 15);
    CHECK(changed.subspan(4).empty() && changed.subspan(3, 9).size() == 1);
    std::string text = "abc";
    const lckv::span<char> letters = text;
    letters[1] = 'x';
    CHECK(text == "axc");
}

static void rows()
{
    const float logits[] = {0, 1, 2, 10, 11, 12};
    const lckv::logits_view view(logits, 2, 3);
    CHECK(view.size() == 2 && view.n_vocab() == 3 && view.data() == logits);
    CHECK(view[0].data() == logits && view[1][2] > 11 && view.back().data() == logits + 3);
    CHECK(view.back().size() == 3);
}

static void callables()
{
    lckv::progress_callback none, progress = nullptr;
    CHECK(!none && !progress && none(1, 2));
    int calls = 0;
    progress = [&](std::uint64_t, std::uint64_t) { calls++; };
    CHECK(progress && progress(1, 2) && calls == 1);
    progress = [](std::uint64_t done, std::uint64_t total) { return done < total; };
    const lckv::progress_callback copy = progress;
    CHECK(copy(1, 2) && !copy(2, 2));
}

static bool stops(std::uint64_t, std::uint64_t)
{
    return false;
}

/* Whatever is empty makes an empty callback, which lets calls go on. */
static void empty_callables()
{
    using stopping = bool (*)(std::uint64_t, std::uint64_t);
    const lckv::progress_callback empty[] = {
        std::function<void(std::uint64_t, std::uint64_t)>(),
        std::function<bool(std::uint64_t, std::uint64_t)>(),
        static_cast<void (*)(std::uint64_t, std::uint64_t)>(nullptr),
        stopping(),
        lckv::progress_callback(),
    };
    for (const lckv::progress_callback &callback : empty)
        CHECK(!callback && callback(1, 2));
    const lckv::progress_callback full[] = {
        stops,
        &stops,
        stopping(stops),
        std::function<bool(std::uint64_t, std::uint64_t)>(stops),
        [](std::uint64_t, std::uint64_t) { return false; },
    };
    for (const lckv::progress_callback &callback : full)
        CHECK(callback && !callback(1, 2));
}

static void sizes()
{
    CHECK(lckv::model_options().size == sizeof(lckv_model_options));
    CHECK(lckv::generate_options().size == sizeof(lckv_generate_options));
    CHECK(lckv::memory_request().size == sizeof(lckv_memory_request));
    const lckv::cache_options options;
    CHECK(options.n_tokens == 0 && options.pool == nullptr && options.waits == 0);
}

#if __cplusplus >= 202002L
static_assert(std::ranges::contiguous_range<lckv::span<float>> &&
              std::ranges::view<lckv::span<float>>);

static std::size_t std_sum(std::span<const lckv_token> list)
{
    return sum(list);
}

static void std_spans()
{
    std::vector<lckv_token> vector{1, 2, 3};
    const std::span<lckv_token> theirs(vector);
    CHECK(sum(theirs) == 6 && sum(std::span<const lckv_token>(vector).first(2)) == 3);
    CHECK(lckv::span<lckv_token>(theirs).data() == vector.data());
    CHECK(lckv::span<lckv_token>(std::span<lckv_token>(vector)).data() == vector.data());
    CHECK(std_sum(tokens(vector)) == 6 && std_sum(lckv::span<lckv_token>(vector)) == 6);
}
#endif

int main()
{
    spans();
    rows();
    callables();
    empty_callables();
    sizes();
#if __cplusplus >= 202002L
    std_spans();
#endif
    return n_failed == 0 ? 0 : 1;
}
