//! `lkops token create` and LiveKit's `create-join-token`: access tokens from the command line.

use crate::config_args::ConfigArgs;
use crate::exit::Failure;
use crate::print::{self, Format};
use lkops::config::Purpose;
use lkops::token::{Claims, VideoGrant, mint};
use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Life of a token of `create-join-token`.
const JOIN_TOKEN_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(clap::Subcommand)]
pub enum Command {
    /// Print an access token
    Create(CreateArgs),
}

#[derive(clap::Args)]
pub struct CreateArgs {
    #[command(flatten)]
    signer: Signer,
    /// Who the bearer is
    #[arg(long)]
    identity: Option<String>,
    /// Room the grants are for
    #[arg(long)]
    room: Option<String>,
    /// Name others see
    #[arg(long)]
    name: Option<String>,
    /// May join the room
    #[arg(long, requires = "identity", requires = "room")]
    join: bool,
    /// May create rooms
    #[arg(long)]
    create: bool,
    /// May list rooms
    #[arg(long)]
    list: bool,
    /// May administer the room
    #[arg(long, requires = "room")]
    admin: bool,
    /// How long the token is valid, such as 30m or 24h
    #[arg(long, value_name = "DURATION", default_value = "6h", value_parser = lkops::config::parse_duration)]
    valid_for: Duration,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// Whose key signs: the one given, or the first of the configuration.
#[derive(clap::Args)]
struct Signer {
    /// API key to sign with, instead of the configuration's first [env: LIVEKIT_API_KEY]
    #[arg(long, requires = "api_secret")]
    api_key: Option<String>,
    /// Secret of that key [env: LIVEKIT_API_SECRET]
    #[arg(long, requires = "api_key")]
    api_secret: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(clap::Args)]
pub struct JoinArgs {
    #[command(flatten)]
    signer: Signer,
    /// Room to join
    #[arg(long)]
    room: String,
    /// Who the bearer is
    #[arg(long)]
    identity: String,
    /// Hidden, and may only subscribe
    #[arg(long)]
    recorder: bool,
}

pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Create(args) => create(args),
    }
}

fn create(args: &CreateArgs) -> Result<(), Failure> {
    if !(args.join || args.create || args.list || args.admin) {
        return Err(Failure::Usage("the token would allow nothing; give --join, --create, --list or --admin".into()));
    }
    let video = VideoGrant {
        room_join: args.join,
        room_create: args.create,
        room_list: args.list,
        room_admin: args.admin,
        room: args.room.clone().unwrap_or_default(),
        ..Default::default()
    };
    let claims = Claims {
        sub: args.identity.clone().unwrap_or_default(),
        name: args.name.clone().unwrap_or_default(),
        ..lasting(args.valid_for, video)
    };
    let (key, secret) = args.signer.key()?;
    let token = mint(&claims, &key, &secret);
    match args.output {
        Format::Text => print::line(token),
        Format::Json => print::json(&json!({"token": token, "api_key": key, "expires_at": claims.exp})),
    }
}

/// LiveKit's development command: `Token: ` and a token for 30 days.
pub fn create_join(args: &JoinArgs) -> Result<(), Failure> {
    let only_watches = args.recorder.then_some(false);
    let video = VideoGrant {
        room_join: true,
        room: args.room.clone(),
        hidden: args.recorder,
        recorder: args.recorder,
        can_publish: only_watches,
        can_publish_data: only_watches,
        ..Default::default()
    };
    let claims = Claims { sub: args.identity.clone(), ..lasting(JOIN_TOKEN_LIFE, video) };
    let (key, secret) = args.signer.key()?;
    print::line(format_args!("Token: {}", mint(&claims, &key, &secret)))
}

impl Signer {
    fn key(&self) -> Result<(String, String), Failure> {
        if let (Some(key), Some(secret)) = (&self.api_key, &self.api_secret) {
            return Ok((key.clone(), secret.clone()));
        }
        if let (Some(key), Some(secret)) = (self.config.env("LIVEKIT_API_KEY"), self.config.env("LIVEKIT_API_SECRET")) {
            return Ok((key.to_owned(), secret.to_owned()));
        }
        let keys = self.config.load(Purpose::Keys)?.config.keys;
        keys.into_iter().next().ok_or_else(|| Failure::Usage("keys are not configured".into()))
    }
}

#[allow(clippy::disallowed_methods, reason = "a token's life is counted from the wall clock")]
fn lasting(life: Duration, video: VideoGrant) -> Claims {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let seconds = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
    let exp = seconds(now.saturating_add(life.as_secs()));
    Claims { nbf: Some(seconds(now)), exp: Some(exp), video: Some(video), ..Default::default() }
}
