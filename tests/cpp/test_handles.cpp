/*
 * Handles of lckv.hpp: moves, swaps, shared and released ones, parents that children hold, and the
 * exceptions of calls that fail.
 */
#include "check.hpp"

#include <new>
#include <vector>

static void moved_from_handles_are_empty()
{
    lckv::plan a("0_2_2", 3);
    const lckv_plan *raw = a.get();
    lckv::plan b = std::move(a);
    CHECK(!a && b && b.get() == raw);
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "NULL", a.info());
    lckv::plan c = lckv::plan::standard(3);
    c = std::move(b);
    CHECK(!b && c.get() == raw && c.text() == "0_2_2");
    lckv::plan &same = c;
    c = std::move(same);
    CHECK(c.get() == raw);
    lckv::plan d;
    swap(c, d);
    CHECK(!c && d.get() == raw);
    std::vector<lckv::plan> many;
    for (std::uint32_t n = 1; n < 20; n++)
        many.push_back(lckv::plan::standard(n));
    CHECK(many[6].info().n_layers == 7 && many[6].info().is_standard == 1);
}

static void shared_handles_live_on()
{
    lckv::plan shared;
    {
        const lckv::plan plan("0_2_2", 3);
        shared = plan.share();
        CHECK(shared.get() == plan.get());
    }
    CHECK(shared.text() == "0_2_2");
    const lckv_plan *raw = shared.release();
    CHECK(!shared && raw != nullptr);
    lckv::plan adopted(raw);
    const lckv::plan second = lckv::plan::retained(adopted.get());
    adopted = lckv::plan();
    CHECK(second.text() == "0_2_2");
}

static void children_hold_their_parents()
{
    lckv::session session;
    lckv::plan plan;
    {
        lckv::model model = bundled().share();
        lckv::pool pool = lckv::pool::create(1);
        lckv::cache_options options;
        options.pool = pool.get();
        options.max_sessions = 2;
        lckv::cache cache(model, options);
        session = lckv::session(cache);
        plan = model.plan();
        CHECK(cache.model().get() == model.get() && session.cache().get() == cache.get());
        CHECK(cache.stats().n_threads == 1);
    }
    CHECK(session.cache().stats().n_sessions == 1);
    lckv::cache cache = session.cache();
    CHECK(!story(cache).empty() && plan.info().n_slots == 3);
    session = lckv::session();
    CHECK(cache.stats().n_sessions == 0);
}

static void empty_handles_fail_and_do_no_harm()
{
    const lckv::model model;
    lckv::session session;
    lckv::sampler sampler;
    lckv::detokenizer detokenizer;
    CHECK(!model.plan() && !session.cache() && !session.share() && !sampler.share());
    CHECK(model.special_token(LCKV_SPECIAL_BOS) == -1 && !model.is_end_token(0));
    CHECK(model.last_error().empty() && model.metadata_keys().empty());
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", model.info());
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", model.tokenize("a"));
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", lckv::cache(model));
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", session.length());
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", session.logits());
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", session.read_kv(0, 0, 0));
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", session.fork());
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", session.generate({1}));
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", sampler.sample(session));
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", sampler.clone());
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", detokenizer.push(1));
    lckv::cache().cancel();
}

static void errors_have_a_status_and_a_message()
{
    CHECK_FAILS(LCKV_IO, "no/such.gguf", lckv::model("no/such.gguf"));
    CHECK_FAILS(LCKV_BAD_FORMAT, "", lckv::model::from_memory("GGUF", 4));
    CHECK_FAILS(LCKV_BAD_PLAN, "", lckv::plan("0_9", 2));
    CHECK_FAILS(LCKV_BAD_PLAN, "", lckv::plan("", 2));
    CHECK_FAILS(LCKV_BAD_PLAN, "", lckv::plan(std::string_view(), 2));
    CHECK_FAILS(LCKV_UNSUPPORTED, "q9_9", lckv::dtype_from_name("q9_9"));
    CHECK(lckv::dtype_from_name("Q4_K") == LCKV_DTYPE_Q4_K);
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", bundled().metadata("no.such.key"));
    lckv::model_options options;
    options.kernel_set = "no such set";
    CHECK_FAILS(LCKV_UNSUPPORTED, "no such set", lckv::model(BUNDLED, options));
    try {
        lckv::check(lckv_plan_get_info(nullptr, nullptr));
        CHECK(false);
    } catch (const std::runtime_error &error) {
        CHECK(std::string(error.what()) == lckv_last_error());
    }
    /* What stands before a NUL would name another file. */
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "NUL", lckv::model(std::string(BUNDLED) + '\0' + ".txt"));
}

static void *no_memory(void *, std::size_t, std::size_t)
{
    return nullptr;
}

static void want_of_memory_is_an_error_like_others()
{
    lckv::sized<lckv_allocator> allocator;
    allocator.alloc = no_memory;
    allocator.free = [](void *, void *, std::size_t) {};
    lckv::model_options options;
    options.allocator = &allocator;
    CHECK_FAILS(LCKV_OUT_OF_MEMORY, "", lckv::model(BUNDLED, options));
}

static void models_come_from_memory_and_tell_of_themselves()
{
    lckv::model &model = bundled();
    const lckv_model_info info = model.info();
    CHECK(info.n_layers == 12 && info.n_vocab == 4096 && info.has_tokenizer == 1);
    CHECK(model.layer(11).kv_shape.head_dim == info.head_dim);
    CHECK(model.fingerprint() != 0);
    CHECK(model.metadata("general.architecture") == info.architecture);
    CHECK(model.metadata("tokenizer.ggml.tokens").size() > 10000); /* longer than any guess */
    CHECK(model.metadata_keys().size() > 10);
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "12", model.layer(12));
    CHECK(model.last_error().find("12") != std::string::npos);
    CHECK(lckv::kernel_sets().front() == "portable");
}

static void plans_and_the_planner()
{
    const lckv::plan plan("0_6_6_6_6_6_6_7", 8);
    CHECK(plan.info().n_slots == 3 && plan.layer(1).source == 6 && plan.slot(1).layer == 6);
    CHECK(plan.group(0).last == 0 && plan.describe().find("slot") != std::string::npos);
    lckv::memory_request request;
    request.plan = plan.get();
    request.n_kv_heads = 4;
    request.head_dim = 32;
    const lckv_memory_report report = lckv::memory_estimate(request);
    CHECK(report.standard_bytes_per_token == report.bytes_per_token / 3 * 8);
    request.kv_shapes.assign(8, {4, 32});
    request.n_kv_heads = request.head_dim = 0;
    CHECK(lckv::memory_estimate(request).bytes_per_token == report.bytes_per_token);
    request.kv_shapes.pop_back();
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", lckv::memory_estimate(request));
    lckv::cache_options options;
    options.max_sessions = 3;
    options.n_tokens = 3000;
    CHECK(lckv::cache::estimate(bundled(), options, 1000).sessions_that_fit == 3);
}

int main()
{
    return run({moved_from_handles_are_empty, shared_handles_live_on, children_hold_their_parents,
                empty_handles_fail_and_do_no_harm, errors_have_a_status_and_a_message,
                want_of_memory_is_an_error_like_others,
                models_come_from_memory_and_tell_of_themselves, plans_and_the_planner});
}
