/*
 * Computing through lckv.hpp: items, logits and hidden states, samplers, forks, prefixes, full
 * caches, cancels, and two threads that take turns.
 */
#include "check.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

using tokens = std::vector<lckv_token>;

static lckv::cache small_cache()
{
    lckv::cache_options options;
    options.max_sessions = 3;
    options.n_tokens = 256;
    return lckv::cache(bundled(), options);
}

static std::vector<float> copy(lckv::span<const float> row)
{
    return {row.begin(), row.end()};
}

static void items_give_rows()
{
    lckv::cache cache = small_cache();
    lckv::session a(cache), b(cache);
    const tokens text = bundled().tokenize("The little dog ran home");
    const lckv_model_info info = bundled().info();
    std::vector<float> rows(text.size() * info.n_vocab), hidden(info.hidden_size);
    lckv::evaluate_options exact;
    exact.prefill = LCKV_PREFILL_EXACT;
    const std::vector<lckv::item> items{
        lckv::item(a, text, LCKV_WANT_ALL).logits_to(rows),
        lckv::item(b, text, LCKV_WANT_LAST | LCKV_WANT_HIDDEN).hidden_to(hidden)};
    const lckv_evaluate_report cost = cache.evaluate_cost(items, exact);
    CHECK(a.length() == 0 && cost.pages_needed > 0);
    const lckv_evaluate_report report = cache.evaluate(items, exact);
    CHECK(report.n_tokens == 2 * text.size() && report.pages_needed == cost.pages_needed);
    CHECK(a.length() == text.size() && a.tokens() == text);
    CHECK(a.read_tokens(1, 3) == tokens(text.begin() + 1, text.begin() + 3));
    CHECK(a.read_tokens(2, 2).empty());
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "positions", a.read_tokens(0, 1u << 30));
    const lckv::logits_view held = b.logits();
    CHECK(held.size() == 1 && held.n_vocab() == info.n_vocab);
    CHECK(std::equal(held.back().begin(), held.back().end(), rows.end() - info.n_vocab));
    CHECK(std::any_of(hidden.begin(), hidden.end(), [](float x) { return x < 0 || x > 0; }));
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", a.logits());
    /* Items in larger structs. */
    struct request : lckv::item {
        using item::item;
        int number = 0;
    };
    const lckv_token next[] = {9};
    const request requests[] = {{a, next, LCKV_WANT_NOTHING}, {b, next, LCKV_WANT_LAST}};
    cache.evaluate_cost(requests, sizeof requests[0], 2);
    CHECK(cache.evaluate(requests, sizeof requests[0], 2).n_tokens == 2);
}

/* The temporary tokens of an item live as long as it and its copies. */
static void items_keep_temporary_tokens()
{
    lckv::cache cache(bundled());
    const char *const prompts[] = {"Once upon a time there was", "One day, a little dog", "Tom"};
    std::vector<lckv::session> sessions;
    for (std::size_t i = 0; i < 4; i++)
        sessions.emplace_back(cache);
    std::vector<lckv::item> items;
    for (std::size_t i = 0; i < 3; i++)
        items.emplace_back(sessions[i], bundled().tokenize(prompts[i]), LCKV_WANT_LAST);
    items.push_back({sessions[3], {5, 6, 7}, LCKV_WANT_LAST});
    std::vector<lckv::item> copies = items;
    items = {};
    cache.evaluate(copies);
    for (std::size_t i = 0; i < 3; i++)
        CHECK(sessions[i].tokens() == bundled().tokenize(prompts[i]));
    CHECK((sessions[3].tokens() == std::vector<lckv_token>{5, 6, 7}));

    const std::vector<lckv_token> borrowed{8, 9};
    lckv::item moved({sessions[3], borrowed, LCKV_WANT_LAST});
    CHECK(moved.tokens == borrowed.data() && moved.n_tokens == 2);
    moved = lckv::item(sessions[3], std::vector<lckv_token>(), LCKV_WANT_LAST);
    CHECK(moved.n_tokens == 0);
}

static void forks_and_prefixes()
{
    lckv::cache cache = small_cache();
    lckv::session session(cache);
    const tokens text = bundled().tokenize("Tom and Mia went to the park to play");
    cache.evaluate({{session, text, LCKV_WANT_LAST}});
    lckv::session fork = session.fork();
    CHECK(fork.tokens() == text && copy(fork.logits().back()) == copy(session.logits().back()));
    fork.truncate(3);
    CHECK(fork.length() == 3 && session.length() == text.size() && session.min_length() == 0);
    fork = lckv::session(cache);
    CHECK(fork.reuse(text) == text.size() - 1 && fork.length() == text.size() - 1);
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", fork.reuse(text));
    CHECK(cache.stats().n_reuses == 1);

    const lckv::keys_and_values kv = session.read_kv(1, 0, 4);
    CHECK(kv.shape.n_kv_heads == 4 && kv.shape.head_dim == 32);
    CHECK(kv.keys.size() == 4 * 4 * 32 && kv.values.size() == kv.keys.size());
    CHECK(kv.keys == fork.read_kv(1, 0, 4).keys && session.read_kv(1, 2, 2).keys.empty());
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "slot", session.read_kv(3, 0, 1));
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "positions", session.read_kv(0, 0, UINT64_MAX));
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "positions", session.read_kv(0, 2, 1));
}

static void samplers()
{
    lckv::cache cache = small_cache();
    lckv::session session(cache);
    const tokens text = bundled().tokenize("Once upon a time");
    cache.evaluate({{session, text, LCKV_WANT_LAST}});
    const std::vector<float> row = copy(session.logits().back());
    const auto best = std::max_element(row.begin(), row.end()) - row.begin();
    lckv::sampler greedy{lckv::sampler_options()};
    CHECK(greedy.sample(session) == best && greedy.sample(row) == best);
    lckv::sampler_options options;
    options.logit_bias = {{static_cast<lckv_token>(best), -INFINITY}, {21, 1e6f}};
    CHECK(lckv::sampler(options).sample(row) == 21);
    options.logit_bias.clear();
    options.temperature = 1;
    options.seed = 5;
    lckv::sampler first(options);
    first.sample(row);
    lckv::sampler clone = first.clone();
    const lckv_token after = first.sample(row);
    CHECK(clone.sample(row) == after);
    first.accept(after);
    first.reset();
    lckv::sampler again(options);
    CHECK(first.sample(row) == again.sample(row));
    lckv::sampler moved = std::move(first);
    CHECK(!first && moved);
    swap(moved, first);
    CHECK(first && !moved);
    const std::vector<float> log_p = lckv::log_probabilities(row);
    double sum = 0;
    for (const float value : log_p)
        sum += std::exp(static_cast<double>(value));
    CHECK(std::abs(sum - 1) < 1e-3);
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", lckv::log_probabilities({}));
    /* Without a sampler, and with one that is empty, greedy or temporary, the same tokens come. */
    lckv::generate_options generating;
    generating.max_tokens = 8;
    tokens chosen[4];
    for (int i = 0; i < 4; i++) {
        generating.callback = [&](lckv_token token, std::string_view) {
            chosen[i].push_back(token);
        };
        lckv::session other(cache);
        lckv::sampler empty;
        if (i == 0)
            other.generate(text, generating);
        else if (i == 3)
            other.generate(lckv::sampler(lckv::sampler_options()), text, generating);
        else
            other.generate(i == 1 ? empty : greedy, text, generating);
    }
    CHECK(chosen[0].size() == 9 && chosen[0] == chosen[1] && chosen[1] == chosen[2]);
    CHECK(chosen[3] == chosen[0]);
}

static void full_caches_tell_what_is_missing()
{
    lckv::cache cache = small_cache();
    lckv::session a(cache), b(cache), c(cache);
    CHECK_FAILS(LCKV_CACHE_FULL, "", lckv::session(cache));
    const tokens few{1, 2}, many(1000, 5);
    const std::vector<lckv::item> items{{a, few, LCKV_WANT_NOTHING}, {b, many, LCKV_WANT_NOTHING}};
    for (const bool cost : {false, true}) {
        try {
            if (cost)
                cache.evaluate_cost(items);
            else
                cache.evaluate(items);
            CHECK(false);
        } catch (const lckv::evaluate_error &error) {
            CHECK(error.status() == LCKV_CACHE_FULL && error.report().failed_item == 1);
            CHECK(error.report().pages_needed > error.report().pages_free);
        }
    }
    CHECK(a.length() == 0 && b.length() == 0);
    CHECK(cache.last_error().find("page") != std::string::npos);
}

static void cancels_come_from_other_threads()
{
    lckv::cache cache = small_cache();
    lckv::session session(cache);
    std::atomic<bool> started{false}, done{false};
    std::thread other([&, same = cache.share()] {
        while (!started)
            std::this_thread::yield();
        while (!done) {
            same.cancel();
            std::this_thread::yield();
        }
    });
    lckv::generate_options options;
    options.max_tokens = 200;
    options.ignore_end = 1;
    options.callback = [&](lckv_token, std::string_view) { started = true; };
    const lckv_generate_report report =
        session.generate(bundled().tokenize("Once upon a time"), options);
    done = true;
    other.join();
    CHECK(report.reason == LCKV_STOP_CANCELLED && report.n_generated < 200);
    const std::uint64_t before = session.length();
    lckv::evaluate_options evaluating;
    evaluating.progress = [&](std::uint64_t, std::uint64_t) { cache.cancel(); };
    CHECK_THROWS(lckv::evaluate_error,
                 cache.evaluate({{session, {1, 2, 3}, LCKV_WANT_LAST}}, evaluating));
    CHECK(session.length() == before && !story(cache).empty());
}

static void threads_wait_for_their_turn()
{
    lckv::cache_options options;
    options.max_sessions = 4;
    options.waits = 1;
    const lckv::cache cache(bundled(), options);
    std::string texts[3];
    std::vector<std::thread> threads;
    for (std::string &text : texts)
        threads.emplace_back([&text, same = cache.share()]() mutable {
            for (int i = 0; i < 3; i++)
                text = story(same);
        });
    for (std::thread &thread : threads)
        thread.join();
    CHECK(!texts[0].empty() && texts[0] == texts[1] && texts[1] == texts[2]);
}

int main()
{
    return run({items_give_rows, items_keep_temporary_tokens, forks_and_prefixes, samplers,
                full_caches_tell_what_is_missing, cancels_come_from_other_threads,
                threads_wait_for_their_turn});
}
