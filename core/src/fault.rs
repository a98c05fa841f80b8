//! Why a line is rejected, and where in it.

/// The kinds and reasons of the contract. Several reasons may share one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    InvalidUtf8,
    NotJson,
    NestedJson,
    DuplicateName,
    LoneSurrogate,
    LineTooLong,
    NoObject,
    ItemOrKeys,
    NoMetadata,
    Wrapped,
    SequenceNumber,
    Micros,
    MicrosRange,
    NoPosition,
    LongPosition,
    EventName,
    Expired,
    RemoveWithImage,
    MissingImage,
    KeyShape,
    KeyMissing,
    KeyDiffers,
    EmptyName,
    NoImage,
    NoTypedValue,
    UnknownTag,
    NoString,
    NoBool,
    NoNull,
    NoMap,
    NoList,
    NoSet,
    NoNumber,
    NumberDigits,
    NumberRange,
    Base64,
    SetMember,
    TooDeep,
}

/// `at` counts in the same bytes as the position that the parser was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub why: Why,
    pub at: u32,
}

pub type Parsed<T> = Result<T, Fault>;

impl Why {
    #[cold]
    pub fn at(self, at: usize) -> Fault {
        Fault { why: self, at: at as u32 }
    }

    pub fn kind(self) -> &'static str {
        self.words().0
    }

    pub fn reason(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Why::InvalidUtf8 => ("invalid_utf8", "the line is not UTF-8"),
            Why::NotJson => ("not_json", "not JSON"),
            Why::NestedJson => ("not_json", "nested deeper than 256"),
            Why::DuplicateName => ("duplicate_name", "a name stands twice in one object"),
            Why::LoneSurrogate => ("lone_surrogate", "a lone surrogate cannot be written as UTF-8"),
            Why::LineTooLong => ("line_too_long", "the line is longer than any DynamoDB record"),
            Why::NoObject => ("unknown_shape", "the line is not an object"),
            Why::ItemOrKeys => ("unknown_shape", "a record has either Item or Keys"),
            Why::NoMetadata => ("bad_metadata", "Metadata is not an object"),
            Why::Wrapped => ("bad_metadata", "a member of Metadata is not of its form"),
            Why::SequenceNumber => ("bad_metadata", "SequenceNumber is not 1 to 40 digits"),
            Why::Micros => ("bad_metadata", "WriteTimestampMicros is not 1 to 19 digits"),
            Why::MicrosRange => ("bad_metadata", "WriteTimestampMicros does not fit 64 bits"),
            Why::NoPosition => ("bad_metadata", "neither SequenceNumber nor WriteTimestampMicros"),
            Why::LongPosition => ("bad_metadata", "the position is longer than the order prefix leaves room for"),
            Why::EventName => ("bad_metadata", "unknown EventName"),
            Why::Expired => ("bad_metadata", "Expired is neither true nor false"),
            Why::RemoveWithImage => ("bad_event", "REMOVE with a NewImage"),
            Why::MissingImage => {
                ("missing_image", "INSERT or MODIFY without a NewImage: the stream must carry new images")
            }
            Why::KeyShape => ("key_mismatch", "Keys holds one or two attributes of type S, N or B"),
            Why::KeyMissing => ("key_mismatch", "the key is not that of the table's key schema"),
            Why::KeyDiffers => ("key_mismatch", "Keys and the image differ"),
            Why::EmptyName => ("bad_name", "an attribute has an empty name"),
            Why::NoImage => ("bad_value", "an image is not an object"),
            Why::NoTypedValue => ("bad_value", "a typed value is an object with exactly one member"),
            Why::UnknownTag => ("bad_value", "no DynamoDB type"),
            Why::NoString => ("bad_value", "a string is expected"),
            Why::NoBool => ("bad_value", "BOOL is neither true nor false"),
            Why::NoNull => ("bad_value", "NULL is not true"),
            Why::NoMap => ("bad_value", "M is not an object"),
            Why::NoList => ("bad_value", "L is not an array"),
            Why::NoSet => ("bad_value", "a set is not an array"),
            Why::NoNumber => ("bad_number", "not a number"),
            Why::NumberDigits => ("bad_number", "number has more than 38 significant digits"),
            Why::NumberRange => ("bad_number", "number is outside 1E-130 … 9.99E+125"),
            Why::Base64 => ("bad_base64", "not base64"),
            Why::SetMember => ("bad_set", "a member stands twice in a set"),
            Why::TooDeep => ("too_deep", "values are nested deeper than 64"),
        }
    }
}
