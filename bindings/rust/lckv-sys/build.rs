//! Tells cargo how to link liblckv: README.md has the environment variables that matter.

use std::env;
use std::process::{exit, Command};

fn main() {
    for name in [
        "LCKV_LIB_DIR",
        "LCKV_STATIC",
        "PKG_CONFIG",
        "PKG_CONFIG_PATH",
        "DOCS_RS",
    ] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    if env::var_os("DOCS_RS").is_some() {
        return; // documentation is made without the library
    }
    let is_static = env::var("LCKV_STATIC").map_or(false, |value| !matches!(&*value, "" | "0"));
    match env::var("LCKV_LIB_DIR") {
        Ok(folder) if !is_static => {
            println!("cargo:rustc-link-search=native={folder}");
            println!("cargo:rustc-link-lib=dylib=lckv");
        }
        folder => link(
            &ask_pkg_config(folder.ok().as_deref(), is_static),
            is_static,
        ),
    }
}

/// The flags of the linker, as pkg-config writes them.
fn ask_pkg_config(folder: Option<&str>, is_static: bool) -> String {
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let mut command = Command::new(&program);
    command.args(["--print-errors", "--libs", "lckv"]);
    if is_static {
        command.arg("--static");
    }
    if let Some(folder) = folder {
        let others = env::var("PKG_CONFIG_PATH").unwrap_or_default();
        command.env("PKG_CONFIG_PATH", format!("{folder}/pkgconfig:{others}"));
    }
    let problem = match command.output() {
        Ok(output) if output.status.success() => {
            return String::from_utf8_lossy(&output.stdout).into_owned()
        }
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("{program}: {error}"),
    };
    eprintln!("{problem}");
    eprintln!("liblckv was not found. Install it (liblckv-dev, or make install), set");
    eprintln!("PKG_CONFIG_PATH to the folder of lckv.pc, or LCKV_LIB_DIR to that of liblckv.so.");
    exit(1);
}

fn link(flags: &str, is_static: bool) {
    for flag in words(flags) {
        if let Some(folder) = flag.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={folder}");
        } else if let Some(name) = flag.strip_prefix("-l") {
            let is_ours = name == "lckv";
            let kind = if is_ours && is_static {
                "static"
            } else {
                "dylib"
            };
            println!("cargo:rustc-link-lib={kind}={name}");
        } else if flag == "-pthread" {
            println!("cargo:rustc-link-lib=dylib=pthread");
        }
    }
}

/// The words of a line of flags, in which a backslash keeps a blank from ending one.
fn words(flags: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut characters = flags.chars();
    while let Some(character) = characters.next() {
        if character.is_whitespace() {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.extend(if character == '\\' {
                characters.next()
            } else {
                Some(character)
            });
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
