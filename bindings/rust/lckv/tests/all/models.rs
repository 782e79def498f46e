//! Models, texts, plans, the planner, conversion.

use crate::{model, PATH};
use lckv::*;
use std::cell::Cell;
use std::ops::ControlFlow;

#[test]
fn a_model_tells_what_it_is() {
    let model = model();
    let info = model.info().unwrap();
    assert_eq!(
        (info.n_layers, info.n_vocab, info.hidden_size),
        (12, 4096, 256)
    );
    assert!(info.has_tokenizer && info.has_weights && info.problem.is_none());
    assert!(info.weight_dtypes.starts_with("q8_0"));
    let shape = KvShape {
        n_kv_heads: 4,
        head_dim: 32,
    };
    assert_eq!(model.layer(3).unwrap().kv_shape, shape);
    assert_eq!(
        model.layer(12).unwrap_err().status(),
        Status::InvalidArgument
    );
    assert_ne!(model.fingerprint().unwrap(), 0);
    assert_eq!(
        model.metadata("general.architecture").unwrap(),
        info.architecture
    );
    assert!(model.metadata_keys().any(|key| key == "general.name"));
    assert!(model.metadata("no.such.key").is_err());
}

#[test]
fn a_plan_outlives_its_model() {
    let plan = {
        let model = ModelOptions::new()
            .weights(Weights::None)
            .open(PATH)
            .unwrap();
        model.plan().unwrap()
    };
    assert_eq!(plan.to_string(), "0_10_10_10_10_10_10_10_10_10_10_11");
    assert_eq!(plan.info().unwrap().n_slots, 3);
    assert_eq!(plan.slot(1).unwrap().layer, 10);
    assert_eq!(plan.slot(1).unwrap().n_readers, 10);
    assert_eq!(plan.layer(1).unwrap().slot, None);
    assert!(plan.group(0).is_ok());
    assert!(plan.describe().unwrap().lines().count() >= 12);
    let standard = Plan::standard(3).unwrap();
    assert!(standard.info().unwrap().is_standard);
    assert_eq!(format!("{standard:>6}|"), " 0_1_2|");
}

#[test]
fn failures_say_what_was_wrong() {
    let error = Model::open("/no/such/model.gguf").unwrap_err();
    assert_eq!(error.status(), Status::Io);
    assert!(error.message().contains("/no/such/model.gguf"), "{error}");
    let error = Model::open("a\0b").unwrap_err();
    assert_eq!(error.status(), Status::InvalidArgument);
    let error = ModelOptions::new().open_bytes(b"not a model").unwrap_err();
    assert_eq!(error.status(), Status::BadFormat);
    let error = Plan::parse("0_1_9", 3).unwrap_err();
    assert_eq!(error.status(), Status::BadPlan);
    assert!(format!("{error:?}").contains("BadPlan"));
    let error = ModelOptions::new()
        .kernel_set("abacus")
        .open(PATH)
        .unwrap_err();
    assert!(error.to_string().contains("abacus"));
    let error: Box<dyn std::error::Error + Send + Sync> = error.into();
    assert!(error.source().is_none());
}

#[test]
fn a_model_opens_from_bytes() {
    let bytes = std::fs::read(PATH).unwrap();
    let opened = ModelOptions::new().open_bytes(&bytes).unwrap();
    drop(bytes);
    assert_eq!(
        opened.fingerprint().unwrap(),
        model().fingerprint().unwrap()
    );
}

#[test]
fn opening_tells_its_progress_and_can_be_cancelled() {
    let seen = Cell::new((0, 0));
    let pool = Pool::new(1).unwrap();
    let options = ModelOptions::new().pool(&pool).progress(|done, total| {
        seen.set((done, total));
        ControlFlow::Continue(())
    });
    options.open(PATH).unwrap();
    let (done, total) = seen.get();
    assert!(done == total && total > 1_000_000);

    let options = ModelOptions::new().progress(|_, _| ControlFlow::Break(()));
    assert_eq!(options.open(PATH).unwrap_err().status(), Status::Cancelled);
}

#[test]
fn texts_become_tokens_and_texts_again() {
    let model = model();
    let text = "The cat said: \u{201c}caf\u{e9} \u{1f600}\u{201d}.";
    let tokens = model.tokenize(text).unwrap();
    assert_eq!(model.text(&tokens).unwrap(), text);
    assert_eq!(
        model
            .detokenize(&tokens, DetokenizeFlags::CONTINUES)
            .unwrap(),
        text.as_bytes()
    );
    assert!(model.tokenize("").unwrap().len() <= 2);

    let mut detokenizer = Detokenizer::new(&model, DetokenizeFlags::default()).unwrap();
    let mut streamed = String::new();
    for token in &tokens {
        streamed += &detokenizer.push(*token).unwrap();
    }
    streamed += &detokenizer.flush().unwrap();
    assert_eq!(streamed, text);
    assert!(!streamed.contains('\u{fffd}'));
}

#[test]
fn flags_say_how() {
    let model = model();
    let end = model
        .special_token(Special::Eos)
        .expect("it ends its stories");
    assert!(model.is_end_token(end));
    let (bytes, kind) = model.token(end).unwrap();
    assert_eq!(kind, TokenType::Control);
    let spelled = String::from_utf8(bytes.to_vec()).unwrap();
    let flags = TokenizeFlags::NO_BOS;
    assert_eq!(model.tokenize_with(&spelled, flags).unwrap(), [end]);
    let flags = TokenizeFlags::NO_SPECIAL | TokenizeFlags::NO_BOS;
    assert!(!model.tokenize_with(&spelled, flags).unwrap().contains(&end));
    assert_eq!(model.text(&[end]).unwrap(), "");
    let shown = model.detokenize(&[end], DetokenizeFlags::SPECIAL).unwrap();
    assert_eq!(shown, spelled.as_bytes());
    assert!(model.token(-1).is_err());
    let ordinary = model.tokenize_with("cat", flags).unwrap()[0];
    assert_eq!(model.token(ordinary).unwrap().1, TokenType::Normal);
}

#[test]
fn the_planner_counts_what_a_model_takes() {
    let model = model();
    let report = MemoryRequest::for_model(&model)
        .unwrap()
        .context(512)
        .budget_bytes(16 << 20)
        .estimate()
        .unwrap();
    assert_eq!(report.bytes_per_token, 1536);
    assert_eq!(report.standard_bytes_per_token, 6144);
    assert_eq!(
        report.sessions_that_fit,
        4 * report.standard_sessions_that_fit + 1
    );

    let plan = Plan::parse("0_1s_1s", 3).unwrap();
    let error = MemoryRequest::new(&plan, 1, 64).estimate().unwrap_err();
    assert_eq!(error.status(), Status::InvalidArgument);
    let request = MemoryRequest::new(&plan, 1, 64).sliding_window(128);
    assert!(request.kv_dtype(Dtype::Q8_0).estimate().is_ok());

    let options = CacheOptions::new()
        .budget_bytes(8 << 20)
        .kv_dtype(Dtype::Q8_0);
    let estimate = options.estimate(&model, 256).unwrap();
    let made = options
        .max_sessions(estimate.max_sessions)
        .create(&model)
        .unwrap();
    let stats = made.stats().unwrap();
    assert_eq!(stats.n_pages, estimate.n_pages);
    assert_eq!((stats.kv_dtype, stats.v_dtype), (Dtype::Q8_0, Dtype::Q8_0));
}

#[test]
fn a_conversion_writes_a_model_and_can_be_cancelled() {
    let output = std::env::temp_dir().join(format!("lckv-rust-{}.gguf", std::process::id()));
    let mut remarks = Vec::new();
    let report = ConvertOptions::new()
        .plan("0_11_11_11_11_11_11_11_11_11_11_11")
        .dtype(Dtype::Q4_K)
        .init(ConvertInit::Copy)
        .log(|remark| remarks.push(remark.to_owned()))
        .convert(PATH, &output)
        .unwrap();
    assert_eq!(report.file_bytes, std::fs::metadata(&output).unwrap().len());
    let converted = Model::open(&output).unwrap();
    assert_eq!(converted.plan().unwrap().info().unwrap().n_slots, 2);
    std::fs::remove_file(&output).unwrap();
    assert_eq!(report.n_kept_f16, 0);
    assert!(
        remarks.iter().any(|remark| remark.contains("q5_0")),
        "{remarks:?}"
    );

    let stopped = ConvertOptions::new().progress(|_, _| ControlFlow::Break(()));
    assert_eq!(
        stopped.convert(PATH, &output).unwrap_err().status(),
        Status::Cancelled
    );
    assert!(!output.exists());
}

#[test]
fn numbers_that_a_newer_library_may_return_are_kept() {
    assert_eq!("bf16".parse::<Dtype>().unwrap(), Dtype::BF16);
    assert!("bf17".parse::<Dtype>().is_err());
    assert!(version_number() > 0 && !version().is_empty());
}
