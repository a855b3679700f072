//! The VP8 numbers of one leg, continuous across layer switches and dropped pictures (WIRE.md §4.5, RFC 7741 §4.2).
//! Called by `down_track`.

use super::arrival::Vp8Picture;
use super::number_map::NumberMap;
use crate::wire::codec::vp8::{Numbers, Start};

/// Picture ids, TL0PICIDX and KEYIDX of one leg.
#[derive(Debug, Default)]
pub struct Vp8Series {
    pictures: NumberMap,
    /// Added, wrapping, to the incoming numbers.
    tl0_offset: u8,
    key_offset: u8,
    /// Of the newest picture sent.
    last: Option<Numbers>,
    /// Which numbers its packets have: picture id, TL0PICIDX, KEYIDX.
    has: [bool; 3],
}

impl Vp8Series {
    /// Follows another source from this picture on. The first source keeps its numbers, a later one continues.
    pub fn follow(&mut self, picture: &Vp8Picture) {
        if let Some(id) = picture.id {
            let next = self.pictures.newest_outgoing().map_or(id, |newest| newest.wrapping_add(1));
            self.pictures.start(id, next);
        }
        if let Some(last) = self.last {
            self.tl0_offset = offset(last.tl0_pic_idx, picture.tl0_pic_idx);
            self.key_offset = offset(last.key_idx, picture.key_idx);
        }
    }

    /// The outgoing numbers of a packet; `None` if its picture was dropped or is too old.
    pub fn place(&mut self, picture: &Vp8Picture) -> Option<Numbers> {
        let newest = self.pictures.newest_outgoing();
        let id = match picture.id {
            None => None,
            Some(id) if newest.is_none() => {
                self.pictures.start(id, id);
                Some(id)
            }
            Some(id) => Some(self.pictures.place(id)?),
        };
        let numbers = Numbers {
            picture_id: id.unwrap_or(0) as u16 & 0x7FFF,
            tl0_pic_idx: picture.tl0_pic_idx.unwrap_or(0).wrapping_add(self.tl0_offset),
            key_idx: picture.key_idx.unwrap_or(0).wrapping_add(self.key_offset) & 0x1F,
        };
        if id.is_none() || id >= newest {
            self.last = Some(numbers);
            self.has = [id.is_some(), picture.tl0_pic_idx.is_some(), picture.key_idx.is_some()];
        }
        Some(numbers)
    }

    /// The descriptor of a key frame of the leg's own, the next picture of the series.
    pub fn make_up(&mut self) -> Start {
        let Some(last) = self.last else { return Start::default() };
        let numbers = Numbers {
            picture_id: self.pictures.insert().unwrap_or(0) as u16 & 0x7FFF,
            tl0_pic_idx: last.tl0_pic_idx.wrapping_add(1),
            key_idx: last.key_idx.wrapping_add(1) & 0x1F,
        };
        self.last = Some(numbers);
        let [id, tl0, key] = self.has;
        Start {
            picture_id: id.then_some(numbers.picture_id),
            tl0_pic_idx: tl0.then_some(numbers.tl0_pic_idx),
            key_idx: key.then_some(numbers.key_idx),
        }
    }

    /// Closes the gap of a picture that is not forwarded.
    pub fn skip(&mut self, picture: &Vp8Picture) {
        if let Some(id) = picture.id {
            self.pictures.skip(id);
        }
    }
}

/// What takes `incoming` to the number after `last`.
fn offset(last: u8, incoming: Option<u8>) -> u8 {
    last.wrapping_add(1).wrapping_sub(incoming.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(id: u64, tl0: u8, key: u8) -> Vp8Picture {
        Vp8Picture { id: Some(id), tl0_pic_idx: Some(tl0), key_idx: Some(key) }
    }

    fn placed(series: &mut Vp8Series, id: u64, tl0: u8, key: u8) -> Option<(u16, u8, u8)> {
        series.place(&picture(id, tl0, key)).map(|n| (n.picture_id, n.tl0_pic_idx, n.key_idx))
    }

    #[test]
    fn the_first_source_keeps_its_numbers_and_the_next_continues() {
        let mut series = Vp8Series::default();
        series.follow(&picture(0x1_7FFF, 255, 31));
        assert_eq!(placed(&mut series, 0x1_7FFF, 255, 31), Some((0x7FFF, 255, 31)));
        assert_eq!(placed(&mut series, 0x1_8000, 0, 0), Some((0, 0, 0)), "wraps with its source");
        series.follow(&picture(500, 9, 9));
        assert_eq!(placed(&mut series, 500, 9, 9), Some((1, 1, 1)));
        assert_eq!(placed(&mut series, 500, 9, 9), Some((1, 1, 1)), "the next packet of the picture");
        assert_eq!(placed(&mut series, 499, 8, 8), None, "a picture from before the switch");
        assert_eq!(placed(&mut series, 501, 10, 9), Some((2, 2, 1)));
    }

    #[test]
    fn dropped_pictures_leave_no_gap_and_late_ones_fit() {
        let mut series = Vp8Series::default();
        series.follow(&picture(10, 1, 1));
        placed(&mut series, 10, 1, 1);
        series.skip(&picture(11, 1, 1));
        series.skip(&picture(11, 1, 1));
        assert_eq!(placed(&mut series, 13, 2, 1), Some((12, 2, 1)));
        assert_eq!(placed(&mut series, 12, 2, 1), Some((11, 2, 1)));
        assert_eq!(placed(&mut series, 11, 1, 1), None);
        series.follow(&picture(700, 0, 0));
        assert_eq!(placed(&mut series, 700, 0, 0), Some((13, 3, 2)), "continues after the newest, not the last");
    }

    #[test]
    fn pictures_of_its_own_continue_the_series() {
        let mut series = Vp8Series::default();
        assert_eq!(series.make_up(), Start::default());
        placed(&mut series, 0x7FFF, 255, 31);
        assert_eq!(series.make_up(), Start { picture_id: Some(0), tl0_pic_idx: Some(0), key_idx: Some(0) });
        assert_eq!(series.make_up(), Start { picture_id: Some(1), tl0_pic_idx: Some(1), key_idx: Some(1) });
        let mut bare = Vp8Series::default();
        bare.place(&Vp8Picture { id: Some(4), ..Vp8Picture::default() });
        assert_eq!(bare.make_up(), Start { picture_id: Some(5), ..Start::default() });
    }

    #[test]
    fn packets_without_numbers_pass() {
        let mut series = Vp8Series::default();
        assert_eq!(series.place(&Vp8Picture::default()), Some(Numbers::default()));
    }
}
