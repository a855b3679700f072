//! VP9 payloads: the descriptor with its scalability structure, and key frames (RFC 9628 §4.2).

use super::fields::Reader;

pub use super::fields::PictureId;

const HAS_PICTURE_ID: u8 = 0x80;
const INTER_PICTURE: u8 = 0x40;
const HAS_LAYERS: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;
const FRAME_START: u8 = 0x08;
const FRAME_END: u8 = 0x04;
const HAS_STRUCTURE: u8 = 0x02;
const NOT_UPPER_REFERENCE: u8 = 0x01;
/// Reference indices a flexible-mode packet may list.
const REFERENCES_MAX: usize = 3;
const SPATIAL_LAYERS_MAX: usize = 8;

/// The payload descriptor in front of each packet's VP9 data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// P: refers to earlier pictures.
    pub inter_picture: bool,
    /// F: references are listed per packet, not by a structure.
    pub flexible: bool,
    /// B and E: first and last packet of a layer frame.
    pub frame_start: bool,
    pub frame_end: bool,
    /// Z: no frame of a higher spatial layer of this picture refers to this one.
    pub not_upper_reference: bool,
    pub picture_id: Option<PictureId>,
    pub layer: Option<Layer>,
    /// Differences of picture ids to the pictures referred to; 0 is no reference.
    pub references: [u8; REFERENCES_MAX],
    pub structure: Option<Structure>,
    /// Length of the descriptor.
    pub bytes: usize,
}

/// Layer indices (L).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// Temporal layer, 0..=7.
    pub tid: u8,
    /// U: from here on higher temporal layers may be forwarded.
    pub switching_up: bool,
    /// Spatial layer, 0..=7.
    pub sid: u8,
    /// D: this layer frame refers to the next lower one of its picture.
    pub inter_layer: bool,
    /// Only without `flexible`.
    pub tl0_pic_idx: Option<u8>,
}

/// What a scalability structure says of the spatial layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Structure {
    /// 1..=8.
    pub spatial_layers: u8,
    /// Width and height by spatial layer; (0, 0) where not told.
    pub sizes: [(u16, u16); SPATIAL_LAYERS_MAX],
}

impl Structure {
    /// The size of the highest spatial layer.
    pub fn size(&self) -> Option<(u32, u32)> {
        let (width, height) = *self.sizes.get(usize::from(self.spatial_layers.checked_sub(1)?))?;
        (width > 0 && height > 0).then(|| (u32::from(width), u32::from(height)))
    }
}

impl Descriptor {
    pub fn parse(payload: &[u8]) -> Option<Descriptor> {
        let mut reader = Reader::new(payload);
        let flags = reader.take()?;
        let has = |bit| flags & bit != 0;
        let picture_id = reader.take_picture_id(has(HAS_PICTURE_ID))?;
        let layer = if has(HAS_LAYERS) { Some(take_layer(&mut reader, has(FLEXIBLE))?) } else { None };
        let lists_references = has(FLEXIBLE) && has(INTER_PICTURE);
        let references = if lists_references { take_references(&mut reader)? } else { Default::default() };
        let structure = if has(HAS_STRUCTURE) { Some(take_structure(&mut reader)?) } else { None };
        Some(Descriptor {
            inter_picture: has(INTER_PICTURE),
            flexible: has(FLEXIBLE),
            frame_start: has(FRAME_START),
            frame_end: has(FRAME_END),
            not_upper_reference: has(NOT_UPPER_REFERENCE),
            picture_id,
            layer,
            references,
            structure,
            bytes: reader.taken(),
        })
    }

    /// True in the first packet of a key picture: nothing before it is needed from here on.
    pub fn starts_key_frame(&self) -> bool {
        let base = self.layer.is_none_or(|layer| layer.sid == 0 && !layer.inter_layer);
        !self.inter_picture && self.frame_start && base
    }
}

fn take_layer(reader: &mut Reader<'_>, flexible: bool) -> Option<Layer> {
    let byte = reader.take()?;
    Some(Layer {
        tid: byte >> 5,
        switching_up: byte & 0x10 != 0,
        sid: byte >> 1 & 0x07,
        inter_layer: byte & 0x01 != 0,
        tl0_pic_idx: reader.take_if(!flexible)?,
    })
}

/// `None` also if more follow than allowed.
fn take_references(reader: &mut Reader<'_>) -> Option<[u8; REFERENCES_MAX]> {
    let mut references = [0; REFERENCES_MAX];
    for reference in &mut references {
        let byte = reader.take()?;
        *reference = byte >> 1;
        if byte & 0x01 == 0 {
            return Some(references);
        }
    }
    None
}

fn take_structure(reader: &mut Reader<'_>) -> Option<Structure> {
    let flags = reader.take()?;
    let mut structure = Structure { spatial_layers: (flags >> 5) + 1, ..Structure::default() };
    if flags & 0x10 != 0 {
        for size in structure.sizes.iter_mut().take(usize::from(structure.spatial_layers)) {
            *size = (reader.take_u16()?, reader.take_u16()?);
        }
    }
    if flags & 0x08 != 0 {
        skip_picture_group(reader)?;
    }
    Some(structure)
}

fn skip_picture_group(reader: &mut Reader<'_>) -> Option<()> {
    for _ in 0..reader.take()? {
        let references = reader.take()? >> 2 & 0x03;
        for _ in 0..references {
            reader.take()?;
        }
    }
    Some(())
}

/// True in the first packet of a key frame.
pub fn is_key_frame(payload: &[u8]) -> bool {
    Descriptor::parse(payload).is_some_and(|descriptor| descriptor.starts_key_frame())
}

/// Width and height of the highest spatial layer, if the packet begins a key frame and tells them.
pub fn key_frame_size(payload: &[u8]) -> Option<(u32, u32)> {
    let descriptor = Descriptor::parse(payload)?;
    descriptor.structure.filter(|_| descriptor.starts_key_frame())?.size()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A key picture's base layer, not flexible: picture id of 15 bits, layer indices, a structure of two spatial
    /// layers with sizes and a picture group of two.
    #[rustfmt::skip]
    const KEY: &[u8] = &[
        0b1010_1010,
        0x81, 0x02,
        0b0000_0000, 9,
        0b0011_1000,
        0x01, 0x40, 0x00, 0xB4, // 320 x 180
        0x02, 0x80, 0x01, 0x68, // 640 x 360
        2,
        0b0000_0100, 1,
        0b0101_1000, 1, 2,
        0xDA,
    ];

    #[test]
    fn reads_a_key_picture_with_its_structure() {
        let descriptor = Descriptor::parse(KEY).unwrap();
        let mut sizes = [(0, 0); 8];
        sizes[..2].copy_from_slice(&[(320, 180), (640, 360)]);
        let expected = Descriptor {
            frame_start: true,
            picture_id: Some(PictureId::Long(0x102)),
            layer: Some(Layer { tl0_pic_idx: Some(9), ..Layer::default() }),
            structure: Some(Structure { spatial_layers: 2, sizes }),
            bytes: KEY.len() - 1,
            ..Descriptor::default()
        };
        assert_eq!(descriptor, expected);
        assert!(is_key_frame(KEY));
        assert_eq!(key_frame_size(KEY), Some((640, 360)));
        for cut in 0..descriptor.bytes {
            assert_eq!(Descriptor::parse(&KEY[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn reads_flexible_mode() {
        let payload = [0b1111_0101, 0x11, 0b0101_0011, 0b0000_0011, 0b0000_0100, 0xDA];
        let expected = Descriptor {
            inter_picture: true,
            flexible: true,
            frame_end: true,
            not_upper_reference: true,
            picture_id: Some(PictureId::Short(0x11)),
            layer: Some(Layer { tid: 2, switching_up: true, sid: 1, inter_layer: true, tl0_pic_idx: None }),
            references: [1, 2, 0],
            bytes: 5,
            ..Descriptor::default()
        };
        assert_eq!(Descriptor::parse(&payload), Some(expected));
        assert_eq!(Descriptor::parse(&[0b0101_0000, 3, 3, 3, 2]), None, "a fourth reference");
    }

    #[test]
    fn only_the_base_layer_begins_a_key_frame() {
        let cases: &[(&str, &[u8], bool)] = &[
            ("no layers", &[0b0000_1000, 0], true),
            ("not the first packet", &[0b0000_0100, 0], false),
            ("refers to earlier pictures", &[0b0100_1000, 0], false),
            ("base layer", &[0b0010_1000, 0b0000_0000, 0, 0], true),
            ("upper layer", &[0b0010_1000, 0b0000_0011, 0, 0], false),
            ("malformed", &[0b1000_1000], false),
        ];
        for (name, payload, expected) in cases {
            assert_eq!(is_key_frame(payload), *expected, "{name}");
        }
        assert_eq!(key_frame_size(&[0b0000_1000, 0]), None, "no structure");
        assert_eq!(key_frame_size(&[0b0000_1010, 0, 0]), None, "no sizes");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(payload in proptest::collection::vec(any::<u8>(), 0..60)) {
            is_key_frame(&payload);
            key_frame_size(&payload);
            if let Some(descriptor) = Descriptor::parse(&payload) {
                prop_assert!((1..=payload.len()).contains(&descriptor.bytes));
            }
        }
    }
}
