//! `lkops generate-keys`: an API key and its secret, in LiveKit's words so that scripts keep working.

use crate::exit::Failure;
use crate::print::{self, Format};
use rand::Rng;
use rand::distr::Alphanumeric;
use serde_json::json;

/// Base62 digits that hold 32 random bytes.
const SECRET_CHARS: usize = 43;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let key = lkops::proto::id::random("API");
    let secret: String = rand::rng().sample_iter(Alphanumeric).take(SECRET_CHARS).map(char::from).collect();
    match args.output {
        // Two spaces, as LiveKit prints them.
        Format::Text => print::line(format_args!("API Key:  {key}\nAPI Secret:  {secret}")),
        Format::Json => print::json(&json!({"api_key": key, "api_secret": secret})),
    }
}
