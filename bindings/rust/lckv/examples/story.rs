//! Writes a story, piece by piece:
//!
//!     cargo run --release --example story MODEL

use lckv::{Cache, GenerateOptions, Model, SamplerOptions};
use std::io::{stdout, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bundled = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../examples/models/stories-lckv-q8_0.gguf"
    );
    let path = std::env::args().nth(1).unwrap_or_else(|| bundled.into());
    let model = Model::open(path)?;
    let mut cache = Cache::new(&model)?;
    let mut session = cache.session()?;
    let mut sampler = SamplerOptions::new().temperature(0.7).seed(7).create()?;

    let prompt = "One day, a little girl";
    print!("{prompt}");
    let options = GenerateOptions::new().max_tokens(100).sampler(&mut sampler);
    let mut generation = cache.generate(&mut session, &model.tokenize(prompt)?, options);
    for piece in &mut generation {
        print!("{}", piece?);
        stdout().flush()?;
    }
    println!();
    if let Some(report) = generation.report() {
        let seconds = report.prompt_seconds + report.decode_seconds;
        eprintln!("{} tokens in {seconds:.2} s", report.n_generated);
    }
    Ok(())
}
