//! Protobuf's JSON mapping as LiveKit's clients meet it. Signalling in text frames takes and gives the usual form
//! (lowerCamelCase, defaults left out); Twirp takes the same and answers in proto names with every field present. Called by
//! `signal` and `api`; knows neither. <https://protobuf.dev/programming-guides/json/>

mod lenient;
mod shape;
mod shapes;

pub use lenient::{JsonError, parse};
pub use shape::{Field, Shape, Shaped};

/// The message with defaults left out and lowerCamelCase names.
pub fn compact<T: serde::Serialize>(message: &T) -> Result<String, JsonError> {
    serde_json::to_string(message).map_err(|e| JsonError(e.to_string()))
}

/// The message with every field present, under the names of the `.proto` file.
pub fn complete<T: Shaped>(message: &T) -> Result<String, JsonError> {
    let value = serde_json::to_value(message).map_err(|e| JsonError(e.to_string()))?;
    Ok(shape::spell(value, T::SHAPE).to_string())
}
