//! Generation: the iterator gives what the library's own loop gives.

use crate::{cache, model, options, PROMPT};
use lckv::*;
use std::ops::ControlFlow;

/// What a generation gave.
#[derive(Debug, PartialEq)]
struct Story {
    tokens: Vec<Token>,
    text: String,
    reason: StopReason,
    n_prompt: u64,
    n_generated: u64,
    length: u64,
}

fn sampler() -> Sampler {
    SamplerOptions::new()
        .temperature(0.8)
        .top_p(0.9)
        .seed(5)
        .create()
        .unwrap()
}

/// The same generation by the iterator and by the library.
fn both_ways(prompt: &str, set: impl Fn(GenerateOptions<'_>) -> GenerateOptions<'_>) -> Story {
    let (model, mut cache) = (model(), cache());
    let prompt = model.tokenize(prompt).unwrap();

    let (mut session, mut chooser) = (cache.session().unwrap(), sampler());
    let options = set(GenerateOptions::new().sampler(&mut chooser));
    let mut generation = cache.generate(&mut session, &prompt, options);
    let (mut tokens, mut text) = (Vec::new(), String::new());
    for piece in &mut generation {
        let piece = piece.unwrap();
        tokens.extend(piece.token);
        text += &piece.text;
    }
    let report = generation.report().unwrap();
    let story = Story {
        tokens,
        text,
        reason: report.reason,
        n_prompt: report.n_prompt,
        n_generated: report.n_generated,
        length: session.len(),
    };

    let (mut session, mut chooser) = (cache.session().unwrap(), sampler());
    let options = set(GenerateOptions::new().sampler(&mut chooser));
    let (mut tokens, mut text) = (Vec::new(), String::new());
    let report = cache
        .generate_with(&mut session, &prompt, options, |piece| {
            tokens.extend(piece.token);
            text += &piece.text;
            ControlFlow::Continue(())
        })
        .unwrap();
    let expected = Story {
        tokens,
        text,
        reason: report.reason,
        n_prompt: report.n_prompt,
        n_generated: report.n_generated,
        length: session.len(),
    };
    assert_eq!(story, expected);
    story
}

#[test]
fn a_story_has_as_many_tokens_as_were_asked_for() {
    let story = both_ways(PROMPT, |options| options.max_tokens(40));
    assert_eq!(story.reason, StopReason::Length);
    assert_eq!(story.n_generated, 40);
    assert_eq!(story.length, story.n_prompt + 39);
    assert!(story.text.len() > 80);
}

#[test]
fn a_story_comes_to_its_end() {
    let story = both_ways(PROMPT, |options| options.max_tokens(400));
    assert_eq!(story.reason, StopReason::End);
    assert!(model().is_end_token(*story.tokens.last().unwrap()));
    let on = both_ways(PROMPT, |options| {
        options.max_tokens(story.n_generated + 5).ignore_end(true)
    });
    assert_eq!(on.n_generated, story.n_generated + 5);
}

#[test]
fn a_story_ends_before_a_stop_string() {
    let whole = both_ways(PROMPT, |options| options.max_tokens(40)).text;
    let word = whole.split_whitespace().nth(6).unwrap();
    let story = both_ways(PROMPT, |options| {
        options.max_tokens(40).stop("nowhere").stop(word)
    });
    assert_eq!(story.reason, StopReason::String);
    assert_eq!(story.text, whole.split(word).next().unwrap());
    let across = &whole[10..30];
    let story = both_ways(PROMPT, |options| options.max_tokens(40).stop(across));
    assert_eq!(story.text, whole[..10]);
    // What may begin a stop string is given at the end.
    let story = both_ways(PROMPT, |options| {
        options.max_tokens(10).stop(format!("{}#", &whole[5..]))
    });
    assert!(whole.starts_with(&story.text) && story.text.len() > 15);
}

#[test]
fn prefill_is_passed_on() {
    let text = "One day, a little girl named Lily went to the park with her dog.";
    let with = |prefill| both_ways(text, |options| options.max_tokens(20).prefill(prefill));
    let windowed = both_ways(text, |options| {
        options.max_tokens(20).window(4).tolerance(0.5)
    });
    for story in [with(Prefill::Exact), with(Prefill::Iterated), windowed] {
        assert_eq!(story.n_generated, 20);
    }
}

#[test]
fn without_a_sampler_the_most_likely_token_is_taken() {
    let (model, mut cache) = (model(), cache());
    let mut session = cache.session().unwrap();
    let mut tokens = model.tokenize(PROMPT).unwrap();
    let options = GenerateOptions::new().max_tokens(8);
    let text = cache
        .generate(&mut session, &tokens, options)
        .into_text()
        .unwrap();

    let mut by_hand = cache.session().unwrap();
    let mut sampler = Sampler::greedy().unwrap();
    let n_prompt = tokens.len();
    let mut n_done = 0;
    while tokens.len() < n_prompt + 8 {
        let logits = cache.append(&mut by_hand, &tokens[n_done..]).unwrap();
        n_done = tokens.len();
        tokens.push(sampler.sample(logits.last()).unwrap());
    }
    let generated = model
        .detokenize(&tokens[n_prompt..], DetokenizeFlags::CONTINUES)
        .unwrap();
    assert_eq!(text.as_bytes(), generated);
}

#[test]
fn a_dropped_generation_leaves_the_session_usable() {
    let (model, mut cache) = (model(), cache());
    let mut session = cache.session().unwrap();
    let prompt = model.tokenize(PROMPT).unwrap();
    let mut first = cache.generate(&mut session, &prompt, GenerateOptions::new());
    let taken: Vec<_> = first.by_ref().take(3).collect();
    assert!(first.report().is_none());
    drop(first);
    assert_eq!(session.len(), prompt.len() as u64 + 2);
    let last = taken[2].as_ref().unwrap().token.unwrap();
    assert!(cache.append(&mut session, &[last]).is_ok());
}

#[test]
fn a_full_cache_ends_a_generation_without_failure() {
    let model = model();
    let mut cache = options()
        .n_tokens(64)
        .max_sessions(1)
        .max_rows(16)
        .create(&model)
        .unwrap();
    let prompt = model.tokenize(PROMPT).unwrap();
    let mut session = cache.session().unwrap();
    let options = || GenerateOptions::new().max_tokens(10_000).ignore_end(true);
    let mut generation = cache.generate(&mut session, &prompt, options());
    let n_pieces = generation.by_ref().map(Result::unwrap).count() as u64;
    let report = generation.report().unwrap();
    assert_eq!(report.reason, StopReason::Full);
    assert!(report.n_generated >= 64 - report.n_prompt && n_pieces >= report.n_generated);
    assert!(generation.next().is_none());

    let error = cache
        .generate(&mut session, &prompt, options())
        .next()
        .unwrap()
        .unwrap_err();
    assert_eq!(
        error.status(),
        Status::CacheFull,
        "a prompt that does not fit is a failure"
    );
}

#[test]
fn a_generation_is_cancelled_between_two_pieces() {
    let (model, mut cache) = (model(), cache());
    let handle = cache.handle();
    handle.cancel(); // does nothing: no generation has begun
    let mut session = cache.session().unwrap();
    let prompt = model.tokenize(PROMPT).unwrap();
    let mut generation = cache.generate(&mut session, &prompt, GenerateOptions::new());
    generation.next().unwrap().unwrap();
    handle.cancel();
    assert!(generation.next().is_none());
    assert_eq!(generation.report().unwrap().reason, StopReason::Cancelled);

    let mut session = cache.session().unwrap();
    let report = cache.generate_with(&mut session, &prompt, GenerateOptions::new(), |_| {
        handle.cancel();
        ControlFlow::Continue(())
    });
    let report = report.unwrap();
    assert_eq!(
        (report.reason, report.n_generated),
        (StopReason::Cancelled, 1)
    );
}

#[test]
fn closures_end_a_generation() {
    let (model, mut cache) = (model(), cache());
    let prompt = model.tokenize(PROMPT).unwrap();
    let mut session = cache.session().unwrap();
    let mut n_calls = 0;
    let report = cache.generate_with(&mut session, &prompt, GenerateOptions::new(), |_| {
        n_calls += 1;
        ControlFlow::Break(())
    });
    assert_eq!(report.unwrap().reason, StopReason::Callback);
    assert_eq!(n_calls, 1);

    let mut stopping = SamplerOptions::new()
        .filter(|_| ControlFlow::Break(()))
        .create()
        .unwrap();
    let mut session = cache.session().unwrap();
    let options = GenerateOptions::new().sampler(&mut stopping);
    let mut generation = cache.generate(&mut session, &prompt, options);
    assert!(generation.next().is_none());
    let report = generation.report().unwrap();
    assert_eq!(report.reason, StopReason::Cancelled);
    assert_eq!(report.n_prompt as usize, prompt.len());
}

#[test]
fn what_cannot_be_generated_is_an_error() {
    let (model, mut cache) = (model(), cache());
    let mut session = cache.session().unwrap();
    let mut nothing = cache.generate(&mut session, &[], GenerateOptions::new());
    let error = nothing.next().unwrap().unwrap_err();
    assert_eq!(error.status(), Status::InvalidArgument);
    assert!(nothing.next().is_none() && nothing.report().is_none());

    let prompt = model.tokenize(PROMPT).unwrap();
    let empty = GenerateOptions::new().stop("");
    let error = cache
        .generate(&mut session, &prompt, empty)
        .into_text()
        .unwrap_err();
    assert_eq!(error.status(), Status::InvalidArgument);
    let empty = GenerateOptions::new().stop("");
    let error = cache
        .generate_with(&mut session, &prompt, empty, |_| ControlFlow::Continue(()))
        .unwrap_err();
    assert_eq!(error.status(), Status::InvalidArgument);
}
