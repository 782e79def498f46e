//! The constants of the C interface as enums.

use crate::error::{c_text, check, Error, Result};
use crate::raw::FromRaw;
use lckv_sys as sys;
use std::ffi::CStr;
use std::fmt;
use std::str::FromStr;

/// Constants that callers choose from.
macro_rules! choices {
    ($(#[$attribute:meta])* $name:ident {
        $($(#[$variant_attribute:meta])* $variant:ident = $raw:ident,)*
    }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_attribute])* $variant,)*
        }

        impl From<$name> for i32 {
            fn from(choice: $name) -> i32 {
                match choice {
                    $($name::$variant => sys::$raw,)*
                }
            }
        }
    };
}

/// Constants that the library returns. A newer library may return others.
macro_rules! answers {
    ($(#[$attribute:meta])* $name:ident {
        $($(#[$variant_attribute:meta])* $variant:ident = $raw:ident,)*
    }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_attribute])* $variant,)*
            /// A number that this version of the crate does not know.
            Other(i32),
        }

        impl FromRaw<i32> for $name {
            fn from_raw(raw: i32) -> Self {
                match raw {
                    $(sys::$raw => Self::$variant,)*
                    other => Self::Other(other),
                }
            }
        }
    };
}

answers! {
    /// The kind of a failure.
    Status {
        /// An argument breaks the contract of the call.
        InvalidArgument = LCKV_INVALID_ARGUMENT,
        /// There is not enough memory.
        OutOfMemory = LCKV_OUT_OF_MEMORY,
        /// The system could not open, read or write a file, or a reader or writer failed.
        Io = LCKV_IO,
        /// A file or text is malformed.
        BadFormat = LCKV_BAD_FORMAT,
        /// Something is well formed, but this version cannot do it.
        Unsupported = LCKV_UNSUPPORTED,
        /// A layer plan is malformed, or the tensors contradict it.
        BadPlan = LCKV_BAD_PLAN,
        /// The cache has too few free pages, sessions or rows.
        CacheFull = LCKV_CACHE_FULL,
        /// The call was cancelled, or a callback asked to stop.
        Cancelled = LCKV_CANCELLED,
        /// Another call is working on this cache.
        Busy = LCKV_BUSY,
        /// A buffer is too small.
        BufferTooSmall = LCKV_BUFFER_TOO_SMALL,
        /// Two things that must agree do not.
        Mismatch = LCKV_MISMATCH,
        /// The position is older than what windowed layers keep.
        OutOfWindow = LCKV_OUT_OF_WINDOW,
        /// A defect of the library.
        Internal = LCKV_INTERNAL,
    }
}

answers! {
    /// Why a generation ended.
    StopReason {
        /// As many tokens as were asked for have been generated.
        Length = LCKV_STOP_LENGTH,
        /// The model ended its text.
        End = LCKV_STOP_END,
        /// A stop string occurred in the text.
        String = LCKV_STOP_STRING,
        /// The closure asked to stop.
        Callback = LCKV_STOP_CALLBACK,
        /// The cache is full, or the text as long as the model's rotation allows. This is no
        /// failure, and the text so far is good.
        Full = LCKV_STOP_FULL,
        /// The generation was cancelled, by a handle of the cache or by the sampler's closure.
        Cancelled = LCKV_STOP_CANCELLED,
    }
}

answers! {
    /// The type of a token.
    TokenType {
        /// Text.
        Normal = LCKV_TOKEN_NORMAL,
        /// Stands for what the vocabulary lacks.
        Unknown = LCKV_TOKEN_UNKNOWN,
        /// Structure, such as the beginning of a text.
        Control = LCKV_TOKEN_CONTROL,
        /// Text that somebody added to the vocabulary.
        UserDefined = LCKV_TOKEN_USER_DEFINED,
        /// Has no meaning.
        Unused = LCKV_TOKEN_UNUSED,
        /// One byte.
        Byte = LCKV_TOKEN_BYTE,
    }
}

choices! {
    /// In what precision a model computes.
    Precision {
        /// Activations and sums are float32, whatever the weights are.
        Full = LCKV_PRECISION_FULL,
        /// Activations have 8 bits where that makes kernels faster. This is the default.
        Fast = LCKV_PRECISION_FAST,
    }
}

impl FromRaw<i32> for Precision {
    fn from_raw(raw: i32) -> Self {
        match raw {
            sys::LCKV_PRECISION_FULL => Self::Full,
            _ => Self::Fast,
        }
    }
}

choices! {
    /// What multiplies the matrices of prompts.
    Gemm {
        /// The library's own kernels.
        Own = LCKV_GEMM_OWN,
        /// OpenBLAS, if the library was built with it: logits then depend, in their last bits, on
        /// how a prompt is cut into calls.
        OpenBlas = LCKV_GEMM_OPENBLAS,
    }
}

choices! {
    /// Where a model's weights are.
    Weights {
        /// Packed files are mapped and used in place; others are read into memory. A mapped file
        /// must stay as it is while the model is open.
        Default = LCKV_WEIGHTS_DEFAULT,
        /// Weights are always read into memory.
        Copied = LCKV_WEIGHTS_COPIED,
        /// For weights that are larger than memory: layers are read from a packed file while
        /// others compute.
        Streamed = LCKV_WEIGHTS_STREAMED,
        /// No weights are read: for text, metadata, the plan and estimates.
        None = LCKV_WEIGHTS_NONE,
    }
}

choices! {
    /// How the prompts of plans with upward layers are encoded.
    Prefill {
        /// The exact result, in one pass, if no layer reads a higher one; else within a tolerance
        /// of it, in a window of tokens. This is the default.
        Auto = LCKV_PREFILL_AUTO,
        /// The exact result: if layers read higher ones, token by token.
        Exact = LCKV_PREFILL_EXACT,
        /// Each cyclic group is computed as often as the options say.
        Iterated = LCKV_PREFILL_ITERATED,
        /// What the model's configuration asks for.
        Model = LCKV_PREFILL_MODEL,
    }
}

choices! {
    /// Special tokens of a model.
    Special {
        /// Begins a text.
        Bos = LCKV_SPECIAL_BOS,
        /// Ends a text.
        Eos = LCKV_SPECIAL_EOS,
        /// Stands for what the vocabulary lacks.
        Unknown = LCKV_SPECIAL_UNKNOWN,
        /// Fills up.
        Padding = LCKV_SPECIAL_PADDING,
        /// Ends a turn of a conversation.
        Eot = LCKV_SPECIAL_EOT,
    }
}

choices! {
    /// How a conversion to another plan makes the keys and values of a source layer.
    ConvertInit {
        /// Their weights are the mean over all layers that read them.
        Mean = LCKV_CONVERT_MEAN,
        /// Their weights are the layer's own.
        Copy = LCKV_CONVERT_COPY,
    }
}

/// A type of numbers: of weights, or of keys and values.
///
/// It is parsed from its name and prints it.
///
/// ```
/// assert_eq!("q8_0".parse::<lckv::Dtype>()?, lckv::Dtype::Q8_0);
/// assert_eq!(lckv::Dtype::F16.to_string(), "f16");
/// # Ok::<(), lckv::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dtype(i32);

macro_rules! dtypes {
    ($($name:ident = $raw:ident, $doc:literal;)*) => {
        $(#[doc = $doc] pub const $name: Dtype = Dtype(sys::$raw);)*
    };
}

impl Dtype {
    dtypes! {
        F32 = LCKV_DTYPE_F32, "Float, 32 bits.";
        F16 = LCKV_DTYPE_F16, "Float, 16 bits.";
        BF16 = LCKV_DTYPE_BF16, "The upper half of a float.";
        Q8_0 = LCKV_DTYPE_Q8_0, "8 bits; 32 numbers share a scale.";
        Q4_0 = LCKV_DTYPE_Q4_0, "4 bits; 32 numbers share a scale.";
        Q4_1 = LCKV_DTYPE_Q4_1, "4 bits; 32 numbers share a scale and a minimum.";
        Q5_0 = LCKV_DTYPE_Q5_0, "5 bits; 32 numbers share a scale.";
        Q5_1 = LCKV_DTYPE_Q5_1, "5 bits; 32 numbers share a scale and a minimum.";
        Q2_K = LCKV_DTYPE_Q2_K, "2 bits, in blocks of 256 numbers.";
        Q3_K = LCKV_DTYPE_Q3_K, "3 bits, in blocks of 256 numbers.";
        Q4_K = LCKV_DTYPE_Q4_K, "4 bits, in blocks of 256 numbers.";
        Q5_K = LCKV_DTYPE_Q5_K, "5 bits, in blocks of 256 numbers.";
        Q6_K = LCKV_DTYPE_Q6_K, "6 bits, in blocks of 256 numbers.";
        IQ4_NL = LCKV_DTYPE_IQ4_NL, "4 bits, which choose from 16 unequal steps.";
        IQ4_XS = LCKV_DTYPE_IQ4_XS, "The same, in blocks of 256 numbers.";
        MXFP4 = LCKV_DTYPE_MXFP4, "Float, 4 bits; 32 numbers share an exponent.";
        F8_E4M3 = LCKV_DTYPE_F8_E4M3, "Float, 8 bits, in safetensors only.";
    }
}

impl From<Dtype> for i32 {
    fn from(dtype: Dtype) -> i32 {
        dtype.0
    }
}

impl FromRaw<i32> for Dtype {
    fn from_raw(raw: i32) -> Self {
        Self(raw)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: the name is a constant of the library, or NULL.
        let name = unsafe { sys::lckv_dtype_name(self.0) };
        if name.is_null() {
            return write!(f, "type {}", self.0);
        }
        f.pad(&unsafe { CStr::from_ptr(name) }.to_string_lossy())
    }
}

impl FromStr for Dtype {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let name = c_text(name)?;
        let mut raw = 0;
        // SAFETY: the name ends with a NUL.
        check(unsafe { sys::lckv_dtype_from_name(name.as_ptr(), &mut raw) })?;
        Ok(Self(raw))
    }
}
