/*
 * Callbacks of every kind that throw or stop: the exception comes out of the call, and the cache
 * goes on as if nothing had happened.
 */
#include "check.hpp"
#include "folder.hpp"

#include <memory>
#include <sstream>

namespace
{

struct thrown {
    std::string kind;
};

/* A cache, what it writes, and a check that it still writes that. */
struct world {
    lckv::cache cache;
    std::string expected;

    world() : cache(bundled(), options()), expected(story(cache))
    {
    }
    static lckv::cache_options options()
    {
        lckv::cache_options options;
        options.max_sessions = 4;
        return options;
    }
    void check_unharmed(int line)
    {
        if (story(cache) != expected)
            failed(__FILE__, line, "the cache does not go on");
        if (cache.stats().n_sessions != 0)
            failed(__FILE__, line, "a session is left");
    }
};

template <class Call> void check_thrown(int line, const std::string &kind, Call call)
{
    try {
        call();
        failed(__FILE__, line, kind + ": no exception");
    } catch (const thrown &exception) {
        if (exception.kind != kind)
            failed(__FILE__, line, kind + ": got that of " + exception.kind);
    }
}

std::vector<lckv_token> prompt()
{
    return bundled().tokenize("Once upon a time there was a small dog who lived in a big house");
}

void tokens()
{
    world world;
    for (int at = 0; at < 4; at++) {
        lckv::session session(world.cache);
        lckv::generate_options options;
        int calls = 0;
        options.callback = [&](lckv_token, std::string_view) {
            if (calls++ == at)
                throw thrown{"token"};
        };
        check_thrown(__LINE__, "token", [&] { session.generate(prompt(), options); });
        CHECK(calls == at + 1); /* it is not called again, at the end either */
        CHECK(session.length() == prompt().size() + static_cast<std::size_t>(at));
        options.callback = nullptr;
        options.max_tokens = 2;
        CHECK(session.generate({5}, options).n_generated == 2);
    }
    world.check_unharmed(__LINE__);
}

void what_a_token_callback_returns()
{
    world world;
    lckv::session session(world.cache);
    lckv::generate_options options;
    int calls = 0;
    options.callback = [&](lckv_token, std::string_view) { return ++calls < 3; };
    CHECK(session.generate(prompt(), options).reason == LCKV_STOP_CALLBACK && calls == 3);
    std::string text;
    options.callback = [&](lckv_token, std::string_view piece) { text += piece; };
    options.max_tokens = 40;
    options.stops = {"never said", "."};
    session.truncate(0);
    const std::vector<lckv_token> once = bundled().tokenize("Once upon a time");
    CHECK(session.generate(once, options).reason == LCKV_STOP_STRING);
    CHECK(!text.empty() && text.find('.') == std::string::npos);
}

void progress_of_evaluate()
{
    world world;
    lckv::session session(world.cache);
    lckv::evaluate_options options;
    options.progress = [](std::uint64_t, std::uint64_t) { throw thrown{"progress"}; };
    const std::vector<lckv_token> tokens = prompt();
    check_thrown(__LINE__, "progress", [&] {
        world.cache.evaluate({{session, tokens, LCKV_WANT_LAST}}, options);
    });
    CHECK(session.length() == 0);
    options.progress = [](std::uint64_t, std::uint64_t) { return false; };
    CHECK_FAILS(LCKV_CANCELLED, "",
                world.cache.evaluate({{session, tokens, LCKV_WANT_LAST}}, options));
    std::uint64_t last = 0;
    options.progress = [&](std::uint64_t done, std::uint64_t total) {
        last = done;
        return total == tokens.size();
    };
    CHECK(world.cache.evaluate({{session, tokens, LCKV_WANT_LAST}}, options).n_tokens == last);
    session = lckv::session();
    world.check_unharmed(__LINE__);
}

void opening()
{
    lckv::model_options options;
    options.progress = [](std::uint64_t, std::uint64_t) { throw thrown{"open"}; };
    check_thrown(__LINE__, "open", [&] { lckv::model(BUNDLED, options); });
    options.progress = [](std::uint64_t, std::uint64_t) { return false; };
    CHECK_FAILS(LCKV_CANCELLED, "", lckv::model(BUNDLED, options));

    /* A tokenizer that is not understood is no error, and a remark says why there is no text. */
    const folder folder;
    const std::string path = folder.path();
    for (const char *file : {"config.json", "model.safetensors"})
        std::filesystem::copy(std::string("tests/data/goldens/lckv-w2/") + file, folder.path(file));
    folder.write("tokenizer.json", R"({"model":{"type":"none"}})");
    int n_remarks = 0;
    options.progress = nullptr;
    options.log = [&](std::string_view remark) { n_remarks += !remark.empty(); };
    CHECK(lckv::model(path, options).info().has_tokenizer == 0 && n_remarks > 0);
    options.log = [](std::string_view) { throw thrown{"log"}; };
    check_thrown(__LINE__, "log", [&] { lckv::model(path, options); });
}

void converting()
{
    const folder folder;
    lckv::convert_options options;
    std::uint64_t written = 0;
    options.dtype = LCKV_DTYPE_Q4_0;
    options.progress = [&](std::uint64_t done, std::uint64_t) { written = done; };
    const lckv_convert_report report = lckv::convert(BUNDLED, folder.path("a.gguf"), options);
    CHECK(report.n_tensors > 50 && report.file_bytes >= written && written > 0);
    CHECK(lckv::model(folder.path("a.gguf")).plan().text() == bundled().plan().text());
    options.plan = "0_2_2";
    CHECK_FAILS(LCKV_BAD_PLAN, "", lckv::convert(BUNDLED, folder.path("b.gguf"), options));
    options.plan.clear();
    options.progress = [](std::uint64_t, std::uint64_t) { throw thrown{"convert"}; };
    check_thrown(__LINE__, "convert",
                 [&] { lckv::convert(BUNDLED, folder.path("c.gguf"), options); });
    CHECK(!std::filesystem::exists(folder.path("c.gguf")));
}

void logits()
{
    world world;
    lckv::session session(world.cache);
    lckv::sampler_options options;
    options.callback = [](lckv::span<float>) { throw thrown{"logits"}; };
    lckv::sampler sampler(options);
    check_thrown(__LINE__, "logits", [&] { sampler.sample(std::vector<float>{1, 2}); });
    int calls = 0; /* of another callback of the call, after the exception */
    lckv::generate_options generating;
    generating.callback = [&](lckv_token, std::string_view) { calls++; };
    check_thrown(__LINE__, "logits", [&] { session.generate(sampler, prompt(), generating); });
    CHECK(calls == 0);
    const lckv_token next[] = {7};
    world.cache.evaluate({{session, next, LCKV_WANT_LAST}});
    check_thrown(__LINE__, "logits", [&] { sampler.sample(session); });
    check_thrown(__LINE__, "logits", [&] { sampler.clone().sample(session); });
    check_thrown(__LINE__, "logits", [&] { sampler.share().sample(session); });
    /* Called as lckv.h has it, nothing can carry the exception, but it passes no frame of C. */
    lckv_token token = 0;
    CHECK(lckv_sampler_sample_session(sampler.get(), session.get(), &token) == LCKV_CANCELLED);

    options.callback = [](lckv::span<float>) { return false; };
    sampler = lckv::sampler(options);
    CHECK_FAILS(LCKV_CANCELLED, "", sampler.sample(session));
    CHECK(session.generate(sampler, prompt()).reason == LCKV_STOP_CANCELLED);
    options.callback = [](lckv::span<float> all) { all[17] = 1e9f; };
    CHECK(lckv::sampler(options).sample(session) == 17);
    session = lckv::session();
    world.check_unharmed(__LINE__);
}

/* The callback replaces the sampler and the session while they generate. */
void callbacks_that_replace_what_they_serve()
{
    world world;
    lckv::session session(world.cache);
    lckv::sampler sampler;
    auto alive = std::make_shared<int>(0);
    lckv::sampler_options options;
    options.callback = [&, alive](lckv::span<float>) {
        sampler = lckv::sampler();
        session = lckv::session();
        (*alive)++;
    };
    sampler = lckv::sampler(options);
    options.callback = nullptr;
    lckv::generate_options generating;
    generating.max_tokens = 3;
    CHECK(session.generate(sampler, prompt(), generating).n_generated == 3);
    CHECK(*alive == 3 && !sampler && !session && alive.use_count() == 1);
    world.check_unharmed(__LINE__);
}

void saving_and_restoring()
{
    world world;
    std::string saved;
    {
        lckv::session session(world.cache);
        const std::vector<lckv_token> tokens = prompt();
        world.cache.evaluate({{session, tokens, LCKV_WANT_NOTHING}});
        const auto keep = [&](std::string_view bytes) { saved += bytes; };
        lckv::save_options options;
        options.note = "a note";
        check_thrown(__LINE__, "write", [&] {
            lckv::sessions_save({session.get()}, [](std::string_view) { throw thrown{"write"}; });
        });
        CHECK_FAILS(LCKV_IO, "",
                    lckv::sessions_save({session.get()}, [](std::string_view) { return false; }));
        options.progress = [](std::uint64_t, std::uint64_t) { throw thrown{"saved"}; };
        check_thrown(__LINE__, "saved",
                     [&] { lckv::sessions_save({session.get()}, keep, options); });
        saved.clear();
        options.progress = nullptr;
        lckv::sessions_save({session.get()}, keep, options);
    }
    std::istringstream stream(saved);
    const lckv::read_callback read = [&](lckv::span<char> bytes) {
        stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        return static_cast<std::size_t>(stream.gcount());
    };
    check_thrown(__LINE__, "read", [&] {
        lckv::sessions_restore(world.cache,
                               [](lckv::span<char>) -> std::size_t { throw thrown{"read"}; });
    });
    lckv::restore_options options;
    options.note = [](std::string_view) { throw thrown{"note"}; };
    check_thrown(__LINE__, "note", [&] { lckv::sessions_restore(world.cache, read, options); });
    stream.clear();
    stream.seekg(0);
    std::string note;
    options.note = [&](std::string_view bytes) { note += bytes; };
    options.progress = [](std::uint64_t, std::uint64_t) { throw thrown{"restored"}; };
    check_thrown(__LINE__, "restored", [&] { lckv::sessions_restore(world.cache, read, options); });
    CHECK(note == "a note");
    stream.clear();
    stream.seekg(0);
    CHECK(lckv::sessions_restore(world.cache, read).at(0).tokens() == prompt());
    world.check_unharmed(__LINE__);
}

/* Exceptions of a call inside a callback are that callback's, and the outer call goes on. */
void calls_inside_callbacks()
{
    world world;
    lckv::session session(world.cache);
    lckv::sampler_options options;
    options.callback = [](lckv::span<float>) { throw thrown{"inner"}; };
    lckv::sampler sampler(options);
    lckv::generate_options generating;
    generating.max_tokens = 5;
    int n_inner = 0, n_busy = 0;
    generating.callback = [&](lckv_token, std::string_view) {
        try {
            sampler.sample(std::vector<float>{1, 2});
        } catch (const thrown &) {
            n_inner++;
        }
        try {
            session.truncate(0);
        } catch (const lckv::error &error) {
            n_busy += error.status() == LCKV_BUSY;
        }
    };
    CHECK(session.generate(prompt(), generating).n_generated == 5);
    CHECK(n_inner == 6 && n_busy == 6);
    generating.callback = [&](lckv_token, std::string_view) { session.truncate(0); };
    CHECK_FAILS(LCKV_BUSY, "", session.generate(prompt(), generating));
    session = lckv::session();
    world.check_unharmed(__LINE__);
}

} // namespace

int main()
{
    return run({tokens, what_a_token_callback_returns, progress_of_evaluate, opening, converting,
                logits, callbacks_that_replace_what_they_serve, saving_and_restoring,
                calls_inside_callbacks});
}
