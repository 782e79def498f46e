//! Texts and tokens.

use crate::callback::bytes;
use crate::error::{check, create, fill, lossy, Result};
use crate::model::Model;
use lckv_sys as sys;
use std::borrow::Cow;
use std::ptr;

/// The id of a token.
pub type Token = i32;

macro_rules! flags {
    ($(#[$attribute:meta])* $name:ident {
        $($(#[$flag_attribute:meta])* $flag:ident = $raw:ident,)*
    }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name(u32);

        impl $name {
            $($(#[$flag_attribute])* pub const $flag: Self = Self(sys::$raw);)*
        }

        impl std::ops::BitOr for $name {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
    };
}

flags! {
    /// How a text becomes tokens. Without a flag about BOS, the model's own rule holds.
    TokenizeFlags {
        /// Text that spells a control token stays text.
        NO_SPECIAL = LCKV_TOKENIZE_NO_SPECIAL,
        /// Begin with BOS, and nothing at the end.
        BOS = LCKV_TOKENIZE_BOS,
        /// Add nothing at either end.
        NO_BOS = LCKV_TOKENIZE_NO_BOS,
    }
}

flags! {
    /// How tokens become text.
    DetokenizeFlags {
        /// Special tokens give their text; otherwise they give nothing.
        SPECIAL = LCKV_DETOKENIZE_SPECIAL,
        /// The tokens continue a text, so a space at its start stays.
        CONTINUES = LCKV_DETOKENIZE_CONTINUES,
    }
}

/// A turn of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// `system`, `user`, `assistant`, ...: what the model's template knows.
    pub role: &'a str,
    /// What is said.
    pub content: &'a str,
}

impl<'a> Message<'a> {
    /// A message of any role.
    pub fn new(role: &'a str, content: &'a str) -> Self {
        Self { role, content }
    }

    /// What the model is told about its part.
    pub fn system(content: &'a str) -> Self {
        Self::new("system", content)
    }

    /// What the user says.
    pub fn user(content: &'a str) -> Self {
        Self::new("user", content)
    }

    /// What the model has answered.
    pub fn assistant(content: &'a str) -> Self {
        Self::new("assistant", content)
    }
}

/// Texts and conversations as tokens. All of these fail for a model without a tokenizer.
impl Model {
    /// The tokens of a text, or of any bytes.
    pub fn tokenize(&self, text: impl AsRef<[u8]>) -> Result<Vec<Token>> {
        self.tokenize_with(text, TokenizeFlags::default())
    }

    /// The tokens of a text.
    pub fn tokenize_with(
        &self,
        text: impl AsRef<[u8]>,
        flags: TokenizeFlags,
    ) -> Result<Vec<Token>> {
        let text = text.as_ref();
        fill(text.len() / 2 + 16, |tokens, capacity, n_tokens| {
            let start = text.as_ptr().cast();
            // SAFETY: text and tokens are as long as the call is told.
            unsafe {
                let flags = flags.0;
                let model = self.raw();
                sys::lckv_tokenize(model, start, text.len(), flags, tokens, capacity, n_tokens)
            }
        })
    }

    /// The text of tokens; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self, tokens: &[Token]) -> Result<String> {
        self.detokenize(tokens, DetokenizeFlags::default())
            .map(lossy)
    }

    /// The bytes of tokens.
    pub fn detokenize(&self, tokens: &[Token], flags: DetokenizeFlags) -> Result<Vec<u8>> {
        fill(
            tokens.len() * 8 + 16,
            |buffer: *mut u8, capacity, length| {
                let (start, count) = (tokens.as_ptr(), tokens.len());
                // SAFETY: tokens and buffer are as long as the call is told.
                unsafe {
                    let buffer = buffer.cast();
                    sys::lckv_detokenize(
                        self.raw(),
                        start,
                        count,
                        flags.0,
                        buffer,
                        capacity,
                        length,
                    )
                }
            },
        )
    }

    /// The tokens of a conversation, as the model's chat template writes it, up to the opening of
    /// the assistant's answer.
    ///
    /// What the template writes may become special tokens; what the messages say never does.
    pub fn chat(&self, messages: &[Message<'_>]) -> Result<Vec<Token>> {
        self.chat_with(messages, true)
    }

    /// The same, with the opening of an answer or without.
    pub fn chat_with(&self, messages: &[Message<'_>], opens_answer: bool) -> Result<Vec<Token>> {
        let (messages, flags) = raw_chat(messages, opens_answer);
        fill(512, |tokens, capacity, n_tokens| {
            let (first, stride) = (messages.as_ptr(), std::mem::size_of::<sys::lckv_message>());
            let n = messages.len();
            // SAFETY: messages and tokens are as many as the call is told.
            unsafe {
                let model = self.raw();
                sys::lckv_chat_tokenize(model, first, stride, n, flags, tokens, capacity, n_tokens)
            }
        })
    }

    /// The same conversation as text, for people to look at: as a prompt, take the tokens.
    pub fn chat_text(&self, messages: &[Message<'_>], opens_answer: bool) -> Result<String> {
        let (messages, flags) = raw_chat(messages, opens_answer);
        fill(2048, |buffer: *mut u8, capacity, length| {
            let (first, stride) = (messages.as_ptr(), std::mem::size_of::<sys::lckv_message>());
            let n = messages.len();
            // SAFETY: messages and buffer are as long as the call is told.
            unsafe {
                let (model, buffer) = (self.raw(), buffer.cast());
                sys::lckv_chat_format(model, first, stride, n, flags, buffer, capacity, length)
            }
        })
        .map(lossy)
    }
}

/// Messages as the C interface takes them, which point to the texts of the others, and the flags.
fn raw_chat(messages: &[Message<'_>], opens_answer: bool) -> (Vec<sys::lckv_message>, u32) {
    let raw = messages
        .iter()
        .map(|message| sys::lckv_message {
            role: message.role.as_ptr().cast(),
            role_length: message.role.len(),
            content: message.content.as_ptr().cast(),
            content_length: message.content.len(),
        })
        .collect();
    (
        raw,
        if opens_answer {
            sys::LCKV_CHAT_ANSWER
        } else {
            0
        },
    )
}

handle! {
    /// Takes one token at a time and never gives half a character.
    ///
    /// It belongs to one thread at a time: it is [`Send`] and not [`Sync`].
    ///
    /// The text that it gives is its own until its next call, so this does not compile:
    ///
    /// ```compile_fail,E0499
    /// fn join(detokenizer: &mut lckv::Detokenizer) -> lckv::Result<String> {
    ///     let one = detokenizer.push(1)?;
    ///     let two = detokenizer.push(2)?;
    ///     Ok(format!("{one}{two}"))
    /// }
    /// ```
    Detokenizer(lckv_detokenizer), lckv_detokenizer_release
}

// SAFETY: a detokenizer may move from thread to thread, but not be used by two at once.
unsafe impl Send for Detokenizer {}

impl Detokenizer {
    /// Makes a detokenizer. Generated tokens want [`DetokenizeFlags::CONTINUES`].
    pub fn new(model: &Model, flags: DetokenizeFlags) -> Result<Self> {
        // SAFETY: the model is valid; the detokenizer holds it.
        create(Self, |detokenizer| unsafe {
            sys::lckv_detokenizer_create(model.raw(), flags.0, detokenizer)
        })
    }

    /// Takes a token and gives the text that is complete now, perhaps none. Bytes that are not
    /// UTF-8 become U+FFFD.
    pub fn push(&mut self, token: Token) -> Result<Cow<'_, str>> {
        let (mut text, mut length) = (ptr::null(), 0);
        // SAFETY: the text is valid until the next call, which needs the detokenizer mutably.
        check(unsafe { sys::lckv_detokenizer_push(self.raw(), token, &mut text, &mut length) })?;
        Ok(String::from_utf8_lossy(unsafe { bytes(text, length) }))
    }

    /// Gives the text that is left at the end, and starts a new text.
    pub fn flush(&mut self) -> Result<Cow<'_, str>> {
        let (mut text, mut length) = (ptr::null(), 0);
        // SAFETY: as above.
        check(unsafe { sys::lckv_detokenizer_flush(self.raw(), &mut text, &mut length) })?;
        Ok(String::from_utf8_lossy(unsafe { bytes(text, length) }))
    }
}
