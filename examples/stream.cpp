/*
 * C++: handles in unique_ptr, callbacks that may throw, and a decode loop written out, with the
 * streaming detokenizer, which never gives half a UTF-8 character.
 *
 *     c++ -std=c++17 stream.cpp $(pkg-config --cflags --libs lckv) -o stream && ./stream MODEL
 */
#include <lckv.h>

#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace
{

template <auto release> struct Releaser {
    template <class T> void operator()(T *handle) const
    {
        release(handle);
    }
};
using Model = std::unique_ptr<lckv_model, Releaser<lckv_model_release>>;
using Cache = std::unique_ptr<lckv_cache, Releaser<lckv_cache_release>>;
using Session = std::unique_ptr<lckv_session, Releaser<lckv_session_release>>;
using Sampler = std::unique_ptr<lckv_sampler, Releaser<lckv_sampler_release>>;
using Detokenizer = std::unique_ptr<lckv_detokenizer, Releaser<lckv_detokenizer_release>>;

void check(lckv_status status)
{
    if (status != LCKV_OK)
        throw std::runtime_error(std::string(lckv_status_name(status)) + ": " + lckv_last_error());
}

/* Calls a create function and takes its handle. */
template <class Handle, class Create> Handle make(Create create)
{
    typename Handle::pointer raw = nullptr;
    check(create(&raw));
    return Handle(raw);
}

/*
 * Carries exceptions of a callback around the library, through which no exception may pass. The
 * library calls `call`. If the function throws, the exception is kept here, and the library is
 * asked to stop. After the library has returned, `rethrow` throws the exception again.
 */
template <class Function> class Carrier
{
  public:
    explicit Carrier(Function function) : function(std::move(function))
    {
    }
    template <class... Arguments> static int32_t call(void *user, Arguments... arguments) noexcept
    {
        auto *self = static_cast<Carrier *>(user);
        try {
            return self->function(arguments...);
        } catch (...) {
            self->thrown = std::current_exception();
            return 1; /* stop */
        }
    }
    void rethrow()
    {
        if (thrown)
            std::rethrow_exception(std::exchange(thrown, nullptr));
    }

  private:
    Function function;
    std::exception_ptr thrown;
};

/* Evaluates an item and shows its progress. If std::clog cannot be written, the call stops. */
void evaluate(lckv_cache *cache, const lckv_item &item)
{
    Carrier progress([](uint64_t done, uint64_t total) {
        if (done < total)
            std::clog << done << " of " << total << " tokens\n";
        return 0;
    });
    lckv_evaluate_options options{};
    options.size = sizeof options;
    options.progress = progress.call;
    options.progress_user = &progress;
    lckv_status status = lckv_evaluate(cache, &item, sizeof item, 1, &options, nullptr);
    progress.rethrow(); /* first, because LCKV_CANCELLED would only be the consequence */
    check(status);
}

std::vector<lckv_token> tokenize(const lckv_model *model, std::string_view text)
{
    size_t n = 0;
    lckv_tokenize(model, text.data(), text.size(), 0, nullptr, 0, &n); /* asks for the number */
    std::vector<lckv_token> tokens(n);
    check(lckv_tokenize(model, text.data(), text.size(), 0, tokens.data(), tokens.size(), &n));
    return tokens;
}

void stream(const char *path)
{
    auto model = make<Model>([&](auto **m) { return lckv_model_open(path, nullptr, m); });
    auto cache = make<Cache>([&](auto **c) { return lckv_cache_create(model.get(), nullptr, c); });
    auto session = make<Session>([&](auto **s) { return lckv_session_create(cache.get(), s); });
    lckv_sampler_options options{};
    options.size = sizeof options;
    options.temperature = 0.7f;
    options.seed = 3;
    auto sampler = make<Sampler>([&](auto **s) { return lckv_sampler_create(&options, s); });
    auto detokenizer = make<Detokenizer>([&](auto **d) {
        return lckv_detokenizer_create(model.get(), LCKV_DETOKENIZE_CONTINUES, d);
    });

    const std::string_view prompt = "One day, a little girl";
    std::vector<lckv_token> next = tokenize(model.get(), prompt);
    std::cout << prompt;
    const char *text = nullptr;
    size_t length = 0;
    for (int i = 0; i < 64; i++) {
        lckv_item item{};
        item.session = session.get();
        item.tokens = next.data();
        item.n_tokens = next.size();
        item.want = LCKV_WANT_LAST;
        evaluate(cache.get(), item);
        lckv_token token = 0;
        check(lckv_sampler_sample_session(sampler.get(), session.get(), &token));
        check(lckv_sampler_accept(sampler.get(), token));
        if (lckv_model_is_end_token(model.get(), token))
            break;
        check(lckv_detokenizer_push(detokenizer.get(), token, &text, &length));
        std::cout << std::string_view(text, length) << std::flush;
        next = {token};
    }
    check(lckv_detokenizer_flush(detokenizer.get(), &text, &length));
    std::cout << std::string_view(text, length) << '\n';
}

} // namespace

int main(int argc, char **argv)
{
    std::cout.exceptions(std::ios::failbit | std::ios::badbit);
    std::clog.exceptions(std::ios::failbit | std::ios::badbit);
    try {
        stream(argc > 1 ? argv[1] : "examples/models/stories-lckv-q8_0.gguf");
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
