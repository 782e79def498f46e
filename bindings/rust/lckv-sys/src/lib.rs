//! The C interface of lckv: every declaration of `lckv.h`, made by bindgen (`generate.sh`).
//!
//! The header explains each function, and its comments are the documentation here. The crate
//! `lckv` is a safe interface over this one.

#![allow(non_camel_case_types)]
#![allow(rustdoc::broken_intra_doc_links, rustdoc::invalid_html_tags)]
#![allow(clippy::all)]

include!("bindings.rs");
