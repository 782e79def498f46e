//! Evaluation and logits.

use crate::{cache, model, options, session_with, PROMPT};
use lckv::*;

#[test]
fn sessions_in_one_call_get_what_they_get_alone() {
    let (model, mut cache) = (model(), cache());
    let texts = ["Once upon a time", "Tom and Mia", "The old tree stood"];
    let mut sessions: Vec<_> = texts.iter().map(|_| cache.session().unwrap()).collect();
    let tokens: Vec<_> = texts
        .iter()
        .map(|text| model.tokenize(text).unwrap())
        .collect();
    let items = sessions.iter_mut().zip(&tokens);
    let mut items: Vec<_> = items
        .map(|(session, tokens)| Item::new(session, tokens))
        .collect();
    let report = cache.evaluate(&mut items).unwrap();
    assert_eq!(
        report.n_tokens as usize,
        tokens.iter().map(Vec::len).sum::<usize>()
    );
    assert_eq!(report.failed_item, None);
    let together: Vec<_> = sessions
        .iter()
        .map(|session| cache.logits(session).unwrap().to_vec())
        .collect();
    for (text, together) in texts.iter().zip(together) {
        let session = session_with(&mut cache, text);
        assert_eq!(*cache.logits(&session).unwrap(), *together);
    }
}

#[test]
fn items_get_the_rows_that_they_want() {
    let (model, mut cache) = (model(), cache());
    let info = model.info().unwrap();
    let (n_vocab, width) = (info.n_vocab as usize, info.hidden_size as usize);
    let tokens = model.tokenize(PROMPT).unwrap();
    let mut all = vec![0.0; tokens.len() * n_vocab];
    let mut hidden = vec![0.0; tokens.len() * width];
    let mut session = cache.session().unwrap();
    let item = Item::new(&mut session, &tokens).want(Want::All);
    cache
        .evaluate(&mut [item.logits_into(&mut all).all_hidden_into(&mut hidden)])
        .unwrap();
    assert!(cache.logits(&session).is_err(), "they went to the array");

    let mut last_hidden = vec![0.0; width];
    let mut again = cache.session().unwrap();
    let item = Item::new(&mut again, &tokens).hidden_into(&mut last_hidden);
    cache.evaluate(&mut [item]).unwrap();
    let logits = cache.logits(&again).unwrap();
    assert_eq!(logits.rows().len(), 1);
    assert_eq!(logits.last(), &all[all.len() - n_vocab..]);
    assert_eq!(last_hidden, hidden[hidden.len() - width..]);

    let mut quiet = cache.session().unwrap();
    let item = Item::new(&mut quiet, &tokens).want(Want::Nothing);
    cache.evaluate(&mut [item]).unwrap();
    assert!(cache.logits(&quiet).is_err());

    let mut short = vec![0.0; 3];
    let mut refused = cache.session().unwrap();
    let item = Item::new(&mut refused, &tokens).logits_into(&mut short);
    assert!(cache.evaluate(&mut [item]).is_err());
}

#[test]
fn a_full_cache_tells_how_full_it_is_and_changes_nothing() {
    let model = model();
    let mut cache = options()
        .n_tokens(128)
        .max_sessions(2)
        .create(&model)
        .unwrap();
    let mut one = session_with(&mut cache, PROMPT);
    let mut two = cache.session().unwrap();
    let many = vec![5; 2000];
    let before = cache.logits(&one).unwrap().to_vec();
    let cost = cache.evaluate_cost(&mut [Item::new(&mut two, &many)]);
    let next = [7];
    let items = &mut [Item::new(&mut one, &next), Item::new(&mut two, &many)];
    let error = cache.evaluate(items).unwrap_err();
    assert_eq!(error.status(), Status::CacheFull);
    let report = error.report().unwrap();
    assert_eq!(report.failed_item, Some(1));
    assert!(report.pages_needed > report.pages_free);
    assert_eq!(cost.unwrap_err().status(), Status::CacheFull);
    assert_eq!(*cache.logits(&one).unwrap(), *before);
    assert_eq!(one.len() as usize, model.tokenize(PROMPT).unwrap().len());
    assert!(two.is_empty());
    assert_eq!(
        cache.session().map(drop).unwrap_err().status(),
        Status::CacheFull
    );
}

#[test]
fn sessions_of_another_cache_are_refused() {
    let (mut one, mut two) = (cache(), cache());
    let mut session = session_with(&mut one, PROMPT);
    assert_eq!(
        two.logits(&session).unwrap_err().status(),
        Status::InvalidArgument
    );
    let error = two.append(&mut session, &[1]).unwrap_err();
    assert_eq!(error.status(), Status::InvalidArgument);
    // Otherwise logits of the first cache could be overwritten while they are borrowed.
    let options = GenerateOptions::new;
    let error = two.generate(&mut session, &[1], options()).into_text();
    assert_eq!(error.unwrap_err().status(), Status::InvalidArgument);
    let go_on = |_| std::ops::ControlFlow::Continue(());
    let error = two.generate_with(&mut session, &[1], options(), go_on);
    assert_eq!(error.unwrap_err().status(), Status::InvalidArgument);
    assert!(one.append(&mut session, &[1]).is_ok());
}

#[test]
fn prefill_is_exact_if_asked() {
    let (model, mut cache) = (model(), cache());
    let tokens = model
        .tokenize("One day, a little girl named Lily went to the park.")
        .unwrap();
    let mut session = cache.session().unwrap();
    let exact = EvaluateOptions::new().prefill(Prefill::Exact);
    let report = cache.evaluate_with(&mut [Item::new(&mut session, &tokens)], exact);
    assert_eq!(report.unwrap().n_passes as usize, tokens.len());
    let mut windowed = cache.session().unwrap();
    let window = EvaluateOptions::new().window(4).tolerance(1e-3);
    let report = cache
        .evaluate_with(&mut [Item::new(&mut windowed, &tokens)], window)
        .unwrap();
    assert_eq!((report.window, report.tolerance), (4, 1e-3));
    assert!(report.n_rows > report.n_tokens);
}

#[test]
fn samplers_choose_and_clone_and_start_again() {
    let logits: Vec<f32> = (0..100).map(|i| (i as f32 * 0.37).sin()).collect();
    let options = SamplerOptions::new().temperature(1.0).top_k(40).seed(11);
    let mut sampler = options.create().unwrap();
    let draw = |sampler: &mut Sampler| -> Vec<Token> {
        (0..20).map(|_| sampler.sample(&logits).unwrap()).collect()
    };
    let first = draw(&mut sampler);
    let mut clone = sampler.try_clone().unwrap();
    assert_eq!(draw(&mut clone), draw(&mut sampler));
    sampler.reset().unwrap();
    assert_eq!(draw(&mut sampler), first);
    assert!(sampler.sample(&[f32::NAN]).is_err());

    let mut banned = SamplerOptions::new()
        .bias(1, f32::NEG_INFINITY)
        .create()
        .unwrap();
    assert_eq!(banned.sample(&[0.0, 9.0, 1.0]).unwrap(), 2);
    let mut penalised = SamplerOptions::new()
        .presence_penalty(5.0)
        .create()
        .unwrap();
    penalised.accept(1).unwrap();
    assert_eq!(penalised.sample(&[0.0, 3.0, 1.0]).unwrap(), 2);
}
