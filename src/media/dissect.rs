//! What a payload tells a forwarder: layers, frame bounds, and the numbers a leg rewrites. Called by `up_track` for each
//! new packet.

use super::arrival::{Body, RedBlock, RedLayout, Span, Vp8Picture};
use crate::wire::codec::{self, Codec, red, vp8, vp9};
use crate::wire::dependency::{self, Descriptor, Indication, Layer, Structure};
use crate::wire::seq::distance;

/// What was found in one payload.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dissected {
    /// Only where several spatial layers share the stream.
    pub spatial: u8,
    pub temporal: u8,
    pub key_frame: bool,
    pub frame_start: bool,
    pub frame_end: bool,
    pub sync: bool,
    pub body: Body,
}

/// What of earlier packets is needed to read the next, for one stream.
#[derive(Clone, Debug, Default)]
pub struct Context {
    pictures: PictureIds,
    /// Of the last dependency descriptor that brought one.
    structure: Option<Box<Structure>>,
}

impl Context {
    pub fn structure(&self) -> Option<&Structure> {
        self.structure.as_deref()
    }
}

/// Reads a payload of that codec, a piece of `packet`, and the packet's dependency descriptor. `None` if the payload's
/// descriptor is malformed.
///
/// # Cost
/// No allocation but for a dependency structure, which comes with key frames; reads the payload's first bytes, of RED all
/// block headers.
pub fn dissect(
    codec: Codec,
    packet: &[u8],
    payload: &[u8],
    dependency: Option<&[u8]>,
    context: &mut Context,
) -> Option<Dissected> {
    match (codec, dependency) {
        (Codec::Vp8, _) => vp8(payload, &mut context.pictures),
        (Codec::Vp9, dependency) => {
            dependency.into_iter().for_each(|bytes| keep_structure(bytes, &mut context.structure));
            vp9(payload)
        }
        (Codec::Red, _) => red(packet, payload),
        (Codec::Av1, Some(dependency)) => Some(described(dependency, &mut context.structure)),
        (Codec::H264 | Codec::H265 | Codec::Av1, _) => {
            Some(Dissected { key_frame: codec::is_key_frame(codec, payload), ..Dissected::default() })
        }
        (Codec::Opus | Codec::Pcmu | Codec::Pcma, _) => Some(Dissected::default()),
    }
}

/// For a codec whose own descriptor tells the rest.
fn keep_structure(bytes: &[u8], known: &mut Option<Box<Structure>>) {
    let brings = dependency::may_bring_structure(bytes);
    let descriptor = if brings { Descriptor::parse(bytes, None).ok() } else { None };
    *known = descriptor.and_then(|descriptor| descriptor.structure).or_else(|| known.take());
}

/// By the dependency descriptor alone: the payload may be encrypted. A descriptor that cannot be read yet tells nothing.
fn described(bytes: &[u8], known: &mut Option<Box<Structure>>) -> Dissected {
    let Ok(descriptor) = Descriptor::parse(bytes, known.as_deref()) else { return Dissected::default() };
    let starts = descriptor.mandatory.start_of_frame;
    let brings_structure = descriptor.structure.is_some();
    *known = descriptor.structure.or_else(|| known.take());
    let targets = known.iter().flat_map(|structure| structure.decode_targets.iter().enumerate());
    let layer = descriptor.layer;
    let switches = |(target, highest): (usize, &Layer)| {
        highest.temporal == layer.temporal && descriptor.indications.at(target) == Indication::Switch
    };
    Dissected {
        spatial: layer.spatial,
        temporal: layer.temporal,
        key_frame: starts && brings_structure && descriptor.frame_diffs.is_empty(),
        frame_start: starts,
        frame_end: descriptor.mandatory.end_of_frame,
        sync: targets.into_iter().any(switches),
        body: Body::Opaque,
    }
}

fn vp8(payload: &[u8], pictures: &mut PictureIds) -> Option<Dissected> {
    let descriptor = vp8::Descriptor::parse(payload)?;
    let picture = Vp8Picture {
        id: descriptor.picture_id.map(|id| pictures.unwrap(id.value(), id.bits())),
        tl0_pic_idx: descriptor.tl0_pic_idx,
        key_idx: descriptor.key_idx,
    };
    Some(Dissected {
        temporal: descriptor.tid.unwrap_or(0),
        key_frame: vp8::is_key_frame(payload),
        frame_start: descriptor.starts_frame(),
        sync: descriptor.layer_sync,
        body: Body::Vp8(picture),
        ..Dissected::default()
    })
}

fn vp9(payload: &[u8]) -> Option<Dissected> {
    let descriptor = vp9::Descriptor::parse(payload)?;
    let layer = descriptor.layer.unwrap_or_default();
    Some(Dissected {
        spatial: layer.sid,
        temporal: layer.tid,
        key_frame: descriptor.starts_key_frame(),
        frame_start: descriptor.frame_start,
        frame_end: descriptor.frame_end,
        sync: layer.switching_up,
        body: Body::Opaque,
    })
}

fn red(packet: &[u8], payload: &[u8]) -> Option<Dissected> {
    let mut layout = RedLayout::default();
    for block in red::blocks(payload)? {
        let span = Span::of(packet, block.payload);
        if block.is_primary {
            layout.primary = span;
        } else {
            // Blocks come oldest first: each newer one moves the others back.
            layout.redundant.rotate_right(1);
            layout.redundant[0] = Some(RedBlock { timestamp_offset: block.timestamp_offset, payload: span });
        }
    }
    Some(Dissected { body: Body::Red(layout), ..Dissected::default() })
}

/// Unwraps picture ids of 7 or 15 bits; a sender that changes between the two starts over.
#[derive(Clone, Copy, Debug, Default)]
pub struct PictureIds {
    bits: u32,
    newest: u64,
}

impl PictureIds {
    /// The low bits of the result are always those of the id.
    fn unwrap(&mut self, id: u16, bits: u32) -> u64 {
        let id = id & ((1 << bits) - 1);
        if self.bits != bits {
            (self.bits, self.newest) = (bits, u64::from(id) + (1 << 16));
            return self.newest;
        }
        // Shifted up, a shorter counter wraps where `u16` does.
        let shift = u16::BITS - bits;
        let ahead = distance((self.newest as u16) << shift, id << shift) >> shift;
        let unwrapped = self.newest.saturating_add_signed(ahead);
        self.newest = self.newest.max(unwrapped);
        unwrapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::dependency::{BYTES_MAX, Mandatory, write};

    #[test]
    fn picture_ids_unwrap_at_their_own_width() {
        let mut ids = PictureIds::default();
        let base = ids.unwrap(126, 7);
        let rest: Vec<u64> = [127, 0, 126, 1].map(|id| ids.unwrap(id, 7) - base).to_vec();
        assert_eq!(rest, [1, 2, 0, 3]);
        let base = ids.unwrap(32_767, 15);
        assert_eq!(ids.unwrap(0, 15), base + 1);
        assert_eq!(ids.unwrap(32_766, 15), base - 1);
        assert_eq!(base & 0x7FFF, 32_767);
    }

    #[test]
    fn red_blocks_are_told_apart_newest_first() {
        let mut packet = vec![0u8; 12];
        packet.extend([111 | 0x80, 0x1E, 0x00, 2, 111 | 0x80, 0x0F, 0x00, 3, 111]); // 1920 and 960 ticks old
        packet.extend([1, 1, 2, 2, 2, 3, 3, 3, 3]);
        let found = dissect(Codec::Red, &packet, &packet[12..], None, &mut Context::default()).unwrap();
        let Body::Red(layout) = found.body else { panic!("not RED: {found:?}") };
        assert_eq!(layout.primary.in_packet(&packet), [3; 4]);
        let blocks: Vec<_> = layout.redundant.iter().flatten().collect();
        assert_eq!(blocks.iter().map(|b| b.timestamp_offset).collect::<Vec<_>>(), [960, 1_920]);
        assert_eq!(blocks[0].payload.in_packet(&packet), [2; 3]);
        assert_eq!(blocks[1].payload.in_packet(&packet), [1; 2]);
    }

    #[test]
    fn vp8_tells_layers_and_numbers() {
        let payload = [0x90, 0xF0, 0x81, 0x02, 7, 0x40 | 0x20 | 3, 0x00, 0, 0];
        let found = dissect(Codec::Vp8, &payload, &payload, None, &mut Context::default()).unwrap();
        assert!(found.key_frame && found.frame_start && found.sync);
        assert_eq!(found.temporal, 1);
        let Body::Vp8(picture) = found.body else { panic!("not VP8: {found:?}") };
        assert_eq!(
            (picture.id.map(|id| id & 0x7FFF), picture.tl0_pic_idx, picture.key_idx),
            (Some(0x102), Some(7), Some(3))
        );
        assert_eq!(dissect(Codec::Vp8, &[], &[], None, &mut Context::default()), None);
    }

    #[test]
    fn vp9_tells_its_layers() {
        // P, L, E; picture id absent; tid 1, U, sid 2, D; tl0.
        let payload = [0x40 | 0x20 | 0x04, 1 << 5 | 0x10 | 2 << 1 | 1, 9, 0];
        let found = dissect(Codec::Vp9, &payload, &payload, None, &mut Context::default()).unwrap();
        assert_eq!((found.spatial, found.temporal, found.sync, found.frame_end), (2, 1, true, true));
        assert!(!found.key_frame && !found.frame_start);
    }

    /// Two spatial and two temporal layers: a key frame, then frames that point into its structure.
    #[test]
    fn av1_tells_its_layers_by_dependency_descriptor() {
        let structure = Structure::for_tests();
        let mut context = Context::default();
        let mut read = |template_id: u8, number, brings: bool| {
            let template = &structure.templates[usize::from(template_id)];
            let descriptor = Descriptor {
                mandatory: Mandatory { start_of_frame: true, end_of_frame: true, template_id, frame_number: number },
                layer: template.layer,
                indications: template.indications,
                frame_diffs: template.frame_diffs.clone(),
                chain_diffs: template.chain_diffs.clone(),
                resolution: None,
                active_decode_targets: None,
                structure: brings.then(|| Box::new(structure.clone())),
            };
            let mut out = [0; BYTES_MAX];
            let bytes = write(&mut out, &descriptor, Some(&structure)).unwrap();
            dissect(Codec::Av1, &[0; 20], &[0; 8], Some(&out[..bytes]), &mut context).unwrap()
        };
        assert_eq!(read(3, 7, false), Dissected::default(), "unreadable before the structure came");
        let key = read(0, 8, true);
        assert!(key.key_frame && key.frame_start && key.frame_end && key.sync);
        let upper = read(3, 9, false);
        assert_eq!((upper.spatial, upper.temporal, upper.key_frame, upper.sync), (1, 1, false, true));
    }
}
