//! What a caller of the server API may do, as questions to its token (WIRE.md §5.1). Every refusal looks the same.

use super::error::TwirpError;
use crate::token::{Claims, VideoGrant};

/// Who calls: the claims of a checked token, or nobody.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    grant: Option<VideoGrant>,
}

impl Caller {
    pub fn of(claims: Option<Claims>) -> Caller {
        Caller { grant: claims.and_then(|c| c.video) }
    }

    pub fn may_create_rooms(&self) -> Result<(), TwirpError> {
        self.has(|g| g.room_create)
    }

    pub fn may_list_rooms(&self) -> Result<(), TwirpError> {
        self.has(|g| g.room_list)
    }

    pub fn may_administrate(&self, room: &str) -> Result<(), TwirpError> {
        self.has(|g| g.room_admin && g.room == room)
    }

    pub fn may_send_people_to(&self, room: &str, destination: &str) -> Result<(), TwirpError> {
        self.has(|g| g.room_admin && g.room == room && g.destination_room == destination)
    }

    fn has(&self, asked: impl FnOnce(&VideoGrant) -> bool) -> Result<(), TwirpError> {
        self.grant.as_ref().filter(|g| asked(g)).map(|_| ()).ok_or_else(TwirpError::denied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(grant: VideoGrant) -> Caller {
        Caller { grant: Some(grant) }
    }

    #[test]
    fn each_question_wants_its_grant() {
        let none = Caller::of(Some(Claims::default()));
        let creator = caller(VideoGrant { room_create: true, ..Default::default() });
        let lister = caller(VideoGrant { room_list: true, ..Default::default() });
        let admin = VideoGrant { room_admin: true, room: "r".into(), ..Default::default() };
        let mover = caller(VideoGrant { destination_room: "d".into(), ..admin.clone() });
        let admin = caller(admin);
        let joiner = caller(VideoGrant { room_join: true, room: "r".into(), ..Default::default() });
        for (who, create, list, administrate, send) in [
            (none, false, false, false, false),
            (creator, true, false, false, false),
            (lister, false, true, false, false),
            (admin, false, false, true, false),
            (mover, false, false, true, true),
            (joiner, false, false, false, false),
        ] {
            let found = (
                who.may_create_rooms().is_ok(),
                who.may_list_rooms().is_ok(),
                who.may_administrate("r").is_ok(),
                who.may_send_people_to("r", "d").is_ok(),
            );
            assert_eq!(found, (create, list, administrate, send), "{who:?}");
            assert!(who.may_administrate("other").is_err());
            assert!(who.may_send_people_to("r", "other").is_err());
        }
    }
}
