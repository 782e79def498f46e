/*
 * C++: handles as unique_ptr, and a decode loop of one's own with the streaming detokenizer, which
 * never gives half a UTF-8 character.
 *
 *     c++ -std=c++17 stream.cpp $(pkg-config --cflags --libs lckv) -o stream && ./stream MODEL
 */
#include <lckv.h>

#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
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
    auto detokenizer =
        make<Detokenizer>([&](auto **d) { return lckv_detokenizer_create(model.get(), 0, d); });

    std::vector<lckv_token> next = tokenize(model.get(), "One day, a little girl");
    const char *text = nullptr;
    size_t length = 0;
    for (int i = 0; i < 64; i++) {
        lckv_item item{};
        item.session = session.get();
        item.tokens = next.data();
        item.n_tokens = next.size();
        item.want = LCKV_WANT_LAST;
        check(lckv_evaluate(cache.get(), &item, sizeof item, 1, nullptr, nullptr));
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
    try {
        stream(argc > 1 ? argv[1] : "examples/models/stories-lckv-q8_0.gguf");
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
