//! What a room is created with: the configuration, overridden by a preset, overridden by a request or token.

use super::error::RoomError;
use super::session::{OpenError, SessionStart};
use crate::config::{self, Config, Limit};
use crate::proto::{CreateRoomRequest, PlayoutDelay, Room, RoomConfiguration, RoomInternal};
use crate::token::Claims;
use std::collections::{BTreeMap, HashMap};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoomSettings {
    pub name: String,
    pub empty_timeout_s: u32,
    pub departure_timeout_s: u32,
    /// 0 is no limit.
    pub max_participants: u32,
    pub metadata: String,
    pub sync_streams: bool,
    /// Towards subscribers, (least, most) in milliseconds; (0, 0) is off.
    pub playout_delay_ms: (u32, u32),
    /// The room as another node left it: it keeps its sid and secrets.
    pub inherited: Option<Box<Room>>,
}

impl RoomSettings {
    pub fn defaults(config: &config::Room, name: &str) -> RoomSettings {
        RoomSettings {
            name: name.to_owned(),
            empty_timeout_s: config.empty_timeout,
            departure_timeout_s: config.departure_timeout,
            max_participants: config.max_participants,
            sync_streams: config.sync_streams,
            ..RoomSettings::default()
        }
    }

    /// From the token of the participant whose join creates the room.
    pub fn from_token(config: &config::Room, start: &SessionStart) -> Result<RoomSettings, RoomError> {
        let mut settings = RoomSettings::defaults(config, &start.room);
        settings.inherit(start.inherited.clone());
        settings.apply_preset(config, &start.claims.room_preset)?;
        if let Some(own) = &start.claims.room_config {
            settings.apply(own);
        }
        Ok(settings)
    }

    /// Checks sizes in LiveKit's order (WIRE.md §5.1).
    pub fn from_request(
        config: &Config,
        request: &CreateRoomRequest,
        inherited: Option<Box<Room>>,
    ) -> Result<RoomSettings, RoomError> {
        let limit = &config.limit;
        at_most(request.name.len(), limit.max_room_name_length, "room name length exceeds limits")?;
        at_most(request.metadata.len(), limit.max_metadata_size, "metadata size exceeds limits")?;
        let mut settings = RoomSettings::defaults(&config.room, &request.name);
        settings.inherit(inherited);
        settings.apply_preset(&config.room, &request.room_preset)?;
        settings.apply(&configuration(request));
        Ok(settings)
    }

    /// What is kept of a room besides what clients see.
    pub fn internal(&self) -> RoomInternal {
        let (min, max) = self.playout_delay_ms;
        let playout_delay = PlayoutDelay { enabled: min > 0 || max > 0, min, max };
        RoomInternal { playout_delay: Some(playout_delay), sync_streams: self.sync_streams, ..RoomInternal::default() }
    }

    fn inherit(&mut self, inherited: Option<Box<Room>>) {
        if let Some(room) = &inherited {
            self.empty_timeout_s = room.empty_timeout;
            self.departure_timeout_s = room.departure_timeout;
            self.max_participants = room.max_participants;
            self.metadata.clone_from(&room.metadata);
        }
        self.inherited = inherited;
    }

    fn apply_preset(&mut self, config: &config::Room, preset: &str) -> Result<(), RoomError> {
        if preset.is_empty() {
            return Ok(());
        }
        let unknown = || RoomError::invalid("unknown room configuration in create room request");
        self.apply(config.room_configurations.get(preset).ok_or_else(unknown)?);
        Ok(())
    }

    /// Values that are zero or empty change nothing.
    fn apply(&mut self, own: &RoomConfiguration) {
        let set = |value: &mut u32, own: u32| *value = if own > 0 { own } else { *value };
        set(&mut self.empty_timeout_s, own.empty_timeout);
        set(&mut self.departure_timeout_s, own.departure_timeout);
        set(&mut self.max_participants, own.max_participants);
        set(&mut self.playout_delay_ms.0, own.min_playout_delay);
        set(&mut self.playout_delay_ms.1, own.max_playout_delay);
        self.sync_streams |= own.sync_streams;
        if !own.metadata.is_empty() {
            self.metadata.clone_from(&own.metadata);
        }
    }
}

/// What a request says of the room itself, as presets say it.
pub fn configuration(request: &CreateRoomRequest) -> RoomConfiguration {
    RoomConfiguration {
        empty_timeout: request.empty_timeout,
        departure_timeout: request.departure_timeout,
        max_participants: request.max_participants,
        metadata: request.metadata.clone(),
        min_playout_delay: request.min_playout_delay,
        max_playout_delay: request.max_playout_delay,
        sync_streams: request.sync_streams,
        ..RoomConfiguration::default()
    }
}

/// A `max` of 0 is no limit.
pub fn at_most(size: usize, max: usize, text: &'static str) -> Result<(), RoomError> {
    if max > 0 && size > max { Err(RoomError::over_limit(text, max)) } else { Ok(()) }
}

/// Bytes of keys and values.
pub fn attributes_size<'a>(attributes: impl IntoIterator<Item = (&'a String, &'a String)>) -> usize {
    attributes.into_iter().map(|(key, value)| key.len() + value.len()).sum()
}

/// Sizes a participant may ask for in an update (WIRE.md §9.5).
pub fn check_update(
    limit: &Limit,
    name: &str,
    metadata: &str,
    attributes: &HashMap<String, String>,
) -> Result<(), RoomError> {
    at_most(name.len(), limit.max_participant_name_length, "name length exceeds limits")?;
    at_most(metadata.len(), limit.max_metadata_size, "metadata size exceeds limits")?;
    at_most(attributes_size(attributes), limit.max_attributes_size, "attribute size exceeds limits")
}

/// A token whose metadata or attributes are over the limit is refused at join.
pub fn check_token(limit: &Limit, claims: &Claims) -> Result<(), OpenError> {
    let attributes: &BTreeMap<String, String> = &claims.attributes;
    at_most(claims.metadata.len(), limit.max_metadata_size, "metadata size exceeds limits")
        .and_then(|()| at_most(attributes_size(attributes), limit.max_attributes_size, "attribute size exceeds limits"))
        .map_err(|e| OpenError::Refused { why: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let mut config = Config::default();
        config.room.empty_timeout = 300;
        config.room.departure_timeout = 20;
        let preset = RoomConfiguration { empty_timeout: 60, max_participants: 5, ..Default::default() };
        config.room.room_configurations.insert("small".into(), preset);
        config.limit.max_room_name_length = 8;
        config.limit.max_metadata_size = 4;
        config
    }

    #[test]
    fn request_wins_over_preset_over_configuration() {
        let request = CreateRoomRequest {
            name: "r".into(),
            room_preset: "small".into(),
            max_participants: 9,
            ..CreateRoomRequest::default()
        };
        let settings = RoomSettings::from_request(&config(), &request, None).unwrap();
        assert_eq!(settings.max_participants, 9);
        assert_eq!(settings.empty_timeout_s, 60);
        assert_eq!(settings.departure_timeout_s, 20);
    }

    #[test]
    fn sizes_and_presets_are_checked() {
        let long = CreateRoomRequest { name: "123456789".into(), ..Default::default() };
        let fat = CreateRoomRequest { metadata: "12345".into(), ..Default::default() };
        let odd = CreateRoomRequest { room_preset: "none".into(), ..Default::default() };
        let cases = [
            (long, "room name length exceeds limits 8"),
            (fat, "metadata size exceeds limits 4"),
            (odd, "unknown room configuration in create room request"),
        ];
        for (request, text) in cases {
            assert_eq!(RoomSettings::from_request(&config(), &request, None).unwrap_err().to_string(), text);
        }
    }
}
