//! The declarations against the header, as the C compiler reads it today: constants, sizes and
//! offsets. bindgen's own tests, in `src/bindings.rs`, hold the same numbers against Rust.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const BINDINGS: &str = include_str!("../src/bindings.rs");
const INCLUDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../include");

/// What is between two texts of a line.
fn between<'a>(line: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = line.split_once(before)?.1;
    Some(rest.split_once(after)?.0)
}

/// C assertions of the numbers that bindgen's tests hold, and of the constants.
fn assertions() -> BTreeSet<String> {
    let mut assertions = BTreeSet::new();
    let mut name = "";
    let mut what: Option<String> = None;
    for line in BINDINGS.lines() {
        if let Some(of) = between(line, "size_of::<", ">()") {
            name = of;
            what = Some(format!("sizeof({name})"));
        } else if let Some(field) = between(line, "addr_of!((*ptr).", ")") {
            what = Some(format!("offsetof({name}, {field})"));
        } else if let Some(number) = between(line, "  ", "usize,") {
            if let Some(what) = what.take() {
                assertions.insert(format!("{what} == {}", number.trim()));
            }
        } else if let Some(constant) = between(line, "pub const ", ";") {
            let (name, rest) = constant.split_once(": ").unwrap();
            let value = rest.split_once(" = ").unwrap().1;
            assertions.insert(format!("{name} == {value}"));
        }
    }
    assertions
}

/// What a C compiler says against assertions: nothing, if they hold. `None` if there is no compiler.
fn complaints(assertions: &BTreeSet<String>) -> Option<String> {
    let mut program = String::from("#include <stddef.h>\n#include <lckv.h>\n");
    for assertion in assertions {
        program += &format!("_Static_assert({assertion}, \"{assertion}\");\n");
    }
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let mut words = compiler.split_whitespace();
    let mut child = Command::new(words.next()?)
        .args(words)
        .args(["-std=c11", "-fsyntax-only", "-I", INCLUDE, "-x", "c", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    // A compiler that ends early says why by itself.
    let _ = child.stdin.take()?.write_all(program.as_bytes());
    let output = child.wait_with_output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    Some(said)
}

/// Whether the header is there, as in lckv's own repository.
fn has_header() -> bool {
    Path::new(INCLUDE).join("lckv.h").exists()
}

#[test]
fn constants_sizes_and_offsets_are_those_of_the_header() {
    let assertions = assertions();
    let count = |kind: &str| assertions.iter().filter(|a| a.starts_with(kind)).count();
    assert!(count("sizeof") > 25 && count("offsetof") > 200 && count("LCKV_") > 70);
    if !has_header() {
        println!("skipped: no lckv.h beside the crate");
        return;
    }
    match complaints(&assertions) {
        Some(said) => assert_eq!(said, "", "lckv.h has changed: run generate.sh"),
        None => println!("skipped: no C compiler"),
    }
}

#[test]
fn the_compiler_is_asked_about_every_struct() {
    for line in BINDINGS.lines() {
        if let Some(name) = between(line, "pub struct ", " {") {
            let size = format!("sizeof({name})");
            // Handles are opaque: bindgen gives them a private array of no size.
            let is_opaque = BINDINGS.contains(&format!("pub struct {name} {{\n    _unused"));
            assert!(
                is_opaque || assertions().iter().any(|a| a.starts_with(&size)),
                "{name}"
            );
        }
    }
}

#[test]
fn a_wrong_number_is_found() {
    let wrong = ["sizeof(lckv_item) == 1".to_string()].into();
    if has_header() {
        assert_ne!(complaints(&wrong).as_deref(), Some(""));
    }
}
