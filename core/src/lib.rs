//! DynamoDB JSON lines to Arrow, and the latest change per key: the native twin of `tailrace.codec.reference`.
//!
//! The contract is `docs/formats/decoding.md`. There is no policy here, no file and no network: bytes or Arrow in, Arrow out.
//! `py` is the only module that knows Python, and the only one with unsafe code.
//!
//! Bytes go from left to right:
//! `inflate` → `window` → `decode` (lines) → `record` (one pass over a line) → `column` → Arrow.

#![deny(unsafe_code)]

pub mod arena;
pub mod attributes;
pub mod base64;
pub mod column;
pub mod decode;
pub mod fault;
pub mod fold;
pub mod inflate;
pub mod json;
pub mod number;
#[cfg(feature = "python")]
mod py;
pub mod record;
pub mod window;
