//! Which announced track an offered section carries (WIRE.md §3.5, §4.1), and what that track wants of the answer.

use super::{Kind, PendingTrack, kind};
use crate::sdp::{Msid, Section, Session, SsrcAttribute};
use crate::shard::Codec;

/// A section's announced track.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    pub track: &'a PendingTrack,
    /// The codec of this section, if the client named one.
    pub codec: Option<Codec>,
}

/// One entry per section: tracks named by their cid first, then what is left of the kind, since browsers may rename tracks.
pub(super) fn wishes<'a>(offer: &Session, pending: &'a [PendingTrack]) -> Vec<Option<Wish<'a>>> {
    let mut taken = vec![false; pending.len()];
    let mut wishes: Vec<_> = offer.sections.iter().map(|s| named(s, pending, &mut taken)).collect();
    for (section, wish) in offer.sections.iter().zip(&mut wishes).filter(|(_, wish)| wish.is_none()) {
        *wish = first_left(section, pending, &mut taken);
    }
    wishes
}

fn named<'a>(section: &Section, pending: &'a [PendingTrack], taken: &mut [bool]) -> Option<Wish<'a>> {
    let (_, cid) = sent_ids(section)?;
    let kind = kind(section)?;
    let (index, track) =
        pending.iter().enumerate().find(|(_, track)| track.kind == kind && track.cids.contains(&cid))?;
    mark(taken, index);
    Some(Wish { track, codec: codec_of(track, &cid) })
}

fn first_left<'a>(section: &Section, pending: &'a [PendingTrack], taken: &mut [bool]) -> Option<Wish<'a>> {
    sent_ids(section)?;
    let kind = kind(section)?;
    let left = |(index, track): &(usize, &PendingTrack)| track.kind == kind && taken.get(*index) == Some(&false);
    let (index, track) = pending.iter().enumerate().find(left)?;
    mark(taken, index);
    Some(Wish { track, codec: codec_of(track, "") })
}

fn mark(taken: &mut [bool], index: usize) {
    taken.iter_mut().skip(index).take(1).for_each(|t| *t = true);
}

/// The codec announced with that cid; a track's main cid stands for its first codec.
fn codec_of(track: &PendingTrack, cid: &str) -> Option<Codec> {
    let paired = track.cids.len() == track.codecs.len() + 1;
    let own = track.cids.iter().skip(1).position(|c| c == cid).filter(|_| paired && !cid.is_empty());
    Codec::from_name(track.codecs.get(own.unwrap_or(0))?)
}

/// Stream and track id of a section on which the client sends, if it names them.
pub(super) fn sent_ids(section: &Section) -> Option<(String, String)> {
    if section.is_rejected() || !section.direction.sends() {
        return None;
    }
    let legacy = || section.ssrcs.iter().find_map(msid_of_ssrc);
    section.msid.as_ref().map(words).or_else(legacy)
}

fn words(msid: &Msid) -> (String, String) {
    let track_id = msid.track_id.as_ref().unwrap_or(&msid.stream_id);
    (msid.stream_id.clone(), track_id.clone())
}

/// `a=ssrc:1 msid:stream track`, how it was written before `a=msid`.
fn msid_of_ssrc(line: &SsrcAttribute) -> Option<(String, String)> {
    let (stream_id, track_id) = (line.name == "msid").then(|| line.value.split_once(' '))??;
    Some((stream_id.to_owned(), track_id.to_owned()))
}

impl Wish<'_> {
    /// How early a codec stands in the answer, lowest first; equals keep the client's order.
    pub fn rank(&self, codec: Codec) -> usize {
        if self.track.kind == Kind::Audio {
            return match (codec, self.takes_red()) {
                (Codec::Red, true) => 0,
                (Codec::Red, false) => 2,
                _ => 1,
            };
        }
        if self.codec == Some(codec) {
            return 0;
        }
        let listed = self.track.codecs.iter().position(|name| Codec::from_name(name) == Some(codec));
        listed.map_or(usize::MAX, |position| position + 1)
    }

    fn takes_red(&self) -> bool {
        !self.track.disable_red || self.codec == Some(Codec::Red)
    }
}
