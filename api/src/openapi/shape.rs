//! The words in which schemas are written. What is asked for is closed: other fields are refused, as the parsers refuse them.

use serde_json::Value;
use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, ArrayBuilder, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{KnownFormat, Ref, RefOr};

/// A schema or the name of one.
pub(crate) type Shape = RefOr<Schema>;

/// Everything but control characters, which no text may hold.
const PRINTABLE: &str = r"^[^\u0000-\u001F\u007F-\u009F]*$";
/// The 26 characters behind the prefix of an id.
const ID_BODY: &str = "[0-7][0-9a-hjkmnp-tv-z]{25}$";

/// A field of an object.
pub(crate) struct Field {
    name: &'static str,
    /// Boxed, since objects are written as arrays of fields.
    shape: Box<Shape>,
    is_required: bool,
}

/// A field that is always there.
pub(crate) fn must(name: &'static str, shape: impl Into<Shape>) -> Field {
    Field {
        name,
        shape: Box::new(shape.into()),
        is_required: true,
    }
}

/// A field that may be left out.
pub(crate) fn may(name: &'static str, shape: impl Into<Shape>) -> Field {
    Field {
        is_required: false,
        ..must(name, shape)
    }
}

/// An object in an answer. Later versions may add fields.
pub(crate) fn record(fields: impl IntoIterator<Item = Field>) -> ObjectBuilder {
    let empty = ObjectBuilder::new().schema_type(Type::Object);
    fields.into_iter().fold(empty, |object, field| {
        let object = object.property(field.name, *field.shape);
        if field.is_required {
            object.required(field.name)
        } else {
            object
        }
    })
}

/// An object in a request: it has these fields and no others.
pub(crate) fn strict(fields: impl IntoIterator<Item = Field>) -> ObjectBuilder {
    record(fields).additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

/// A text.
pub(crate) fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
}

/// A text in a request, of so many bytes, without control characters.
pub(crate) fn bounded_text(description: &str, (min, max): (usize, usize)) -> ObjectBuilder {
    let description = format!("{description} At most {max} bytes of UTF-8.");
    text(&description)
        .min_length((min > 0).then_some(min))
        .max_length(Some(max))
        .pattern(Some(PRINTABLE))
}

/// One of these words.
pub(crate) fn word<'a>(description: &str, words: impl IntoIterator<Item = &'a str>) -> ObjectBuilder {
    text(description).enum_values(Some(words))
}

/// An id with this prefix.
pub(crate) fn id(description: &str, prefix: &str) -> ObjectBuilder {
    text(description).pattern(Some(format!("^{prefix}{ID_BODY}")))
}

/// A whole number.
pub(crate) fn integer(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .description(Some(description))
}

/// A whole number that is not negative.
pub(crate) fn count(description: &str) -> ObjectBuilder {
    integer(description).minimum(Some(0))
}

/// A whole number between these two.
pub(crate) fn bounded(description: &str, (min, max): (isize, isize)) -> ObjectBuilder {
    integer(description).minimum(Some(min)).maximum(Some(max))
}

/// Seconds since the Unix epoch.
pub(crate) fn time(description: &str) -> ObjectBuilder {
    count(&format!("{description} Seconds since the Unix epoch."))
}

/// Yes or no.
pub(crate) fn flag(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .description(Some(description))
}

/// The same, or null.
pub(crate) fn or_null(shape: ObjectBuilder) -> ObjectBuilder {
    let built = shape.build();
    let words = built
        .enum_values
        .clone()
        .map(|words| words.into_iter().chain([Value::Null]));
    let kind = match &built.schema_type {
        SchemaType::Type(kind) => SchemaType::Array(vec![kind.clone(), Type::Null]),
        SchemaType::Array(kinds) => SchemaType::Array(kinds.iter().cloned().chain([Type::Null]).collect()),
        SchemaType::AnyValue => SchemaType::AnyValue,
    };
    ObjectBuilder::from(built).schema_type(kind).enum_values(words)
}

/// Many of these.
pub(crate) fn array(items: impl Into<Shape>, description: &str) -> ArrayBuilder {
    ArrayBuilder::new()
        .items(items.into())
        .description(Some(description))
}

/// A shape that has a name.
pub(crate) fn named(name: &str) -> Ref {
    Ref::from_schema_name(name)
}

/// A shape that has a name, or null.
pub(crate) fn named_or_null(name: &str) -> AnyOfBuilder {
    AnyOfBuilder::new()
        .item(named(name))
        .item(ObjectBuilder::new().schema_type(Type::Null))
}

/// A page of a list of these.
pub(crate) fn page_of(items: impl Into<Shape>) -> ObjectBuilder {
    record([
        must("object", word("What it is.", ["list"])),
        must("url", text("The list.")),
        must("has_more", flag("Whether further entries follow.")),
        must("data", array(items, "The entries.")),
    ])
}
