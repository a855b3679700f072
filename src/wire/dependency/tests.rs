//! The L1T2 structure built bit by bit as the specification lays it out, a recorded key frame of an L3T3 stream, and
//! round trips.

use super::*;
use crate::wire::bits::BitWriter;
use proptest::collection::vec;
use proptest::prelude::*;
use smallvec::smallvec;

/// Values with their widths in bits, packed.
fn pack(fields: &[(u32, u32)]) -> Vec<u8> {
    let mut out = [0; BYTES_MAX];
    let mut bits = BitWriter::new(&mut out);
    fields.iter().for_each(|(value, width)| bits.bits(*value, *width).unwrap());
    let bytes = bits.bytes();
    out[..bytes].to_vec()
}

/// Start and end of frame, template id, frame number.
fn mandatory(template_id: u32, frame_number: u32) -> [(u32, u32); 4] {
    [(1, 1), (0, 1), (template_id, 6), (frame_number, 16)]
}

/// Structure of one spatial and two temporal layers: template 10 for key frames, 11 for base frames, 12 for upper ones.
/// Decode target 0 is the base layer, 1 is both; one chain protects both.
const L1T2: &[(u32, u32)] = &[
    (10, 6), // template_id_offset
    (1, 5),  // dt_cnt_minus_one
    (0, 2),  // next_layer_idc: same layer
    (1, 2),  // next temporal
    (3, 2),  // no more
    (2, 2),  // key: switch in both
    (2, 2),
    (2, 2), // base: switch, required
    (3, 2),
    (0, 2), // upper: not present, discardable
    (1, 2),
    (0, 1), // key: no differences
    (1, 1), // base: 2
    (1, 4),
    (0, 1),
    (1, 1), // upper: 1
    (0, 4),
    (0, 1),
    (1, 1), // chain_cnt = 1: ns(3) of 1 is 10
    (0, 1),
    // ns(1) for each decode target takes no bits
    (0, 4),    // key: start of the chain
    (2, 4),    // base
    (1, 4),    // upper
    (1, 1),    // resolutions_present_flag
    (639, 16), // one spatial layer
    (359, 16),
];

fn key_frame() -> Vec<u8> {
    pack(&[&mandatory(10, 100)[..], &[(1, 1), (0, 1), (0, 1), (0, 1), (0, 1)], L1T2].concat())
}

fn l1t2() -> Structure {
    *Descriptor::parse(&key_frame(), None).unwrap().structure.unwrap()
}

#[test]
fn reads_a_structure_as_specified() {
    let indications = |first, second| Indications::default().with(0, first).with(1, second);
    let layer = |temporal| Layer { spatial: 0, temporal };
    let template = |temporal, indications, frame_diffs, chain| Template {
        layer: layer(temporal),
        indications,
        frame_diffs,
        chain_diffs: smallvec![chain],
    };
    let expected = Structure {
        template_id_offset: 10,
        templates: vec![
            template(0, indications(Indication::Switch, Indication::Switch), smallvec![], 0),
            template(0, indications(Indication::Switch, Indication::Required), smallvec![2], 2),
            template(1, indications(Indication::NotPresent, Indication::Discardable), smallvec![1], 1),
        ],
        decode_targets: vec![layer(0), layer(1)],
        chains: 1,
        protected_by: vec![0, 0],
        resolutions: vec![(640, 360)],
    };
    let descriptor = Descriptor::parse(&key_frame(), None).unwrap();
    assert_eq!(descriptor.structure.as_deref(), Some(&expected));
    assert_eq!(descriptor.active_decode_targets, Some(0b11));
    assert_eq!(descriptor.resolution, Some((640, 360)));
    assert!(descriptor.mandatory.start_of_frame && !descriptor.mandatory.end_of_frame);
    assert_eq!(descriptor.mandatory.frame_number, 100);
}

#[test]
fn three_bytes_are_completed_from_the_template() {
    let structure = l1t2();
    let descriptor = Descriptor::parse(&pack(&mandatory(12, 101)), Some(&structure)).unwrap();
    assert_eq!(descriptor.layer, Layer { spatial: 0, temporal: 1 });
    assert_eq!(descriptor.indications.at(1), Indication::Discardable);
    assert_eq!((&descriptor.frame_diffs[..], &descriptor.chain_diffs[..]), (&[1][..], &[1][..]));
    assert_eq!((descriptor.structure, descriptor.active_decode_targets), (None, None));
}

#[test]
fn custom_fields_replace_the_template() {
    let structure = l1t2();
    let custom: &[(u32, u32)] = &[
        (0, 1), // no structure
        (1, 1),
        (1, 1),
        (1, 1),
        (1, 1),
        (0b01, 2), // active decode targets
        (3, 2),    // indications
        (0, 2),
        (1, 2), // differences of 16, 256, 4096
        (15, 4),
        (2, 2),
        (255, 8),
        (3, 2),
        (4095, 12),
        (0, 2),
        (200, 8), // chain
    ];
    let bytes = pack(&[&mandatory(11, 102)[..], custom].concat());
    let descriptor = Descriptor::parse(&bytes, Some(&structure)).unwrap();
    assert_eq!(descriptor.active_decode_targets, Some(1));
    assert_eq!(descriptor.indications.at(0), Indication::Required);
    assert_eq!(descriptor.indications.at(1), Indication::NotPresent);
    assert_eq!(descriptor.frame_diffs[..], [16, 256, 4096]);
    assert_eq!(descriptor.chain_diffs[..], [200]);
    for cut in MANDATORY_BYTES + 1..bytes.len() {
        let error = Descriptor::parse(&bytes[..cut], Some(&structure));
        assert_eq!(error, Err(DescriptorError::Malformed), "cut at {cut}");
    }
}

#[test]
fn says_when_the_structure_is_missing() {
    let structure = l1t2();
    let cases = [(12, None), (13, Some(&structure)), (9, Some(&structure)), (63, Some(&structure))];
    for (template, known) in cases {
        let result = Descriptor::parse(&pack(&mandatory(template, 7)), known);
        assert_eq!(result, Err(DescriptorError::UnknownStructure), "template {template}");
    }
    assert_eq!(Descriptor::parse(&[0x80, 0], Some(&structure)), Err(DescriptorError::Malformed));
    let first = Mandatory { start_of_frame: true, end_of_frame: false, template_id: 12, frame_number: 7 };
    assert_eq!(Mandatory::parse(&pack(&mandatory(12, 7))), Some(first));
}

#[test]
fn template_ids_wrap() {
    let structure = Structure { template_id_offset: 63, ..l1t2() };
    assert_eq!(structure.template(63), structure.templates.first());
    assert_eq!(structure.template(1), structure.templates.get(2));
    assert_eq!(structure.template(2), None);
}

/// A key frame's descriptor as Chromium sends it for three spatial and three temporal layers.
const L3T3: &str = "c1017280081485214eafffaaaa863cf0430c10c302afc0aaa0063c00430010c002a000a80006000040001d954926e082b0\
                    4a0941b820ac1282503157f974000ca864330e222222eca8655304224230eca877530077004200ef008601df010d";

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn reads_a_recorded_key_frame() {
    let bytes = from_hex(L3T3);
    let descriptor = Descriptor::parse(&bytes, None).unwrap();
    let structure = descriptor.structure.as_deref().unwrap();
    let layers = (0..3).flat_map(|spatial| (0..3).map(move |temporal| Layer { spatial, temporal }));
    assert!(layers.eq(structure.decode_targets.iter().copied()), "{:?}", structure.decode_targets);
    assert_eq!(structure.protected_by, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    assert_eq!(structure.resolutions, [(120, 67), (240, 135), (480, 270)]);
    assert_eq!(structure.spatial_layers(), 3);
    assert_eq!(descriptor.active_decode_targets, Some(0x1FF));
    let mut out = [0; BYTES_MAX];
    let written = write(&mut out, &descriptor, None).unwrap();
    assert_eq!(out[..written], bytes, "written as it was");
    for cut in MANDATORY_BYTES + 1..bytes.len() - 1 {
        assert_eq!(Descriptor::parse(&bytes[..cut], None), Err(DescriptorError::Malformed), "cut at {cut}");
    }
}

#[test]
fn writer_refuses_what_cannot_be_said() {
    let known = l1t2();
    let good = Descriptor::parse(&pack(&mandatory(12, 101)), Some(&known)).unwrap();
    let mut out = [0; BYTES_MAX];
    assert_eq!(write(&mut out, &good, Some(&known)), Some(3));
    assert_eq!(write(&mut out, &good, None), None, "no structure");
    assert_eq!(write(&mut out[..2], &good, Some(&known)), None, "no room");
    type Spoil = fn(&mut Descriptor);
    let bad: [(&str, Spoil); 5] = [
        ("unknown template", |d| d.mandatory.template_id = 20),
        ("difference 0", |d| d.frame_diffs = smallvec![0]),
        ("difference beyond 12 bits", |d| d.frame_diffs = smallvec![4097]),
        ("too many chains", |d| d.chain_diffs = smallvec![1, 2]),
        ("too many decode targets", |d| d.active_decode_targets = Some(0b100)),
    ];
    for (name, spoil) in bad {
        let mut descriptor = good.clone();
        spoil(&mut descriptor);
        assert_eq!(write(&mut out, &descriptor, Some(&known)), None, "{name}");
    }
    let jump = Structure { templates: vec![known.templates[2].clone(), known.templates[0].clone()], ..known.clone() };
    let mut descriptor = good;
    descriptor.mandatory.template_id = 10;
    descriptor.structure = Some(Box::new(jump));
    assert_eq!(write(&mut out, &descriptor, None), None, "layers out of order");
}

fn any_indications(targets: usize) -> impl Strategy<Value = Indications> {
    const ALL: [Indication; 4] =
        [Indication::NotPresent, Indication::Discardable, Indication::Switch, Indication::Required];
    vec(0..ALL.len(), targets).prop_map(|codes| {
        codes.into_iter().enumerate().fold(Indications::default(), |all, (target, code)| all.with(target, ALL[code]))
    })
}

fn any_template(targets: usize, chains: usize) -> impl Strategy<Value = Template> {
    (any_indications(targets), vec(1u16..=16, 0..4), vec(0u8..16, chains)).prop_map(|(indications, frame, chain)| {
        Template { indications, frame_diffs: frame.into(), chain_diffs: chain.into(), layer: Layer::default() }
    })
}

/// Layers by a walk of next_layer_idc, folded back where a layer would be too high.
fn walk(templates: &mut [Template], steps: &[u8]) {
    let mut layer = Layer::default();
    for (template, step) in templates.iter_mut().zip(steps) {
        template.layer = layer;
        layer = match step {
            1 if layer.temporal < 7 => Layer { temporal: layer.temporal + 1, ..layer },
            2 if layer.spatial < 3 => Layer { spatial: layer.spatial + 1, temporal: 0 },
            _ => layer,
        };
    }
}

fn any_structure() -> impl Strategy<Value = Structure> {
    let shape =
        (1usize..=12, 1usize..=10).prop_flat_map(|(targets, templates)| (Just(targets), 0..=targets, Just(templates)));
    shape.prop_flat_map(|(targets, chains, templates)| {
        let protected = vec(0..chains.max(1) as u8, if chains == 0 { 0 } else { targets });
        let templates = (vec(any_template(targets, chains), templates), vec(0u8..3, templates));
        (templates, protected, 0u8..64, proptest::bool::ANY).prop_map(
            move |((mut templates, steps), protected_by, template_id_offset, sized)| {
                walk(&mut templates, &steps);
                let mut structure = Structure {
                    template_id_offset,
                    templates,
                    chains: chains as u8,
                    protected_by,
                    ..Structure::default()
                };
                structure.decode_targets = (0..targets).map(|target| structure.highest_layer(target)).collect();
                let layers = u32::from(structure.spatial_layers());
                structure.resolutions = (0..if sized { layers } else { 0 }).map(|l| (l + 1, 65536 - l)).collect();
                structure
            },
        )
    })
}

#[test]
fn a_mask_is_put_where_it_belongs() {
    let base = Mask::within(&l1t2(), 0, 0);
    assert_eq!((base, base.is_all()), (Mask { active: 0b01, targets: 2 }, false));
    assert!(Mask::within(&l1t2(), 0, 1).is_all());
    let mut out = [0xEE; BYTES_MAX];
    let short = pack(&mandatory(11, 5));
    let length = base.write(&short, &mut out).unwrap();
    assert_eq!(out[..length], pack(&[&mandatory(11, 5)[..], &[(0b01000, 5), (0b01, 2)]].concat()));
    let length = base.write(&key_frame(), &mut out).unwrap();
    let read = Descriptor::parse(&out[..length], None).unwrap();
    assert_eq!((read.active_decode_targets, read.structure.as_deref()), (Some(0b01), Some(&l1t2())));
    assert_eq!(Mask { active: 1, targets: 3 }.write(&key_frame(), &mut out), None, "of another structure");
    assert_eq!(base.write(&short[..2], &mut out), None);
}

proptest! {
    #[test]
    fn a_mask_changes_nothing_else(
        structure in any_structure(), brings: bool, index: usize, before in proptest::option::of(any::<u32>()),
        after: u32, chain in proptest::option::of(any::<u8>()),
    ) {
        let index = index % structure.templates.len();
        let template_id = (structure.template_id_offset + index as u8) % 64;
        let mandatory = Mandatory { start_of_frame: true, end_of_frame: false, template_id, frame_number: 9 };
        let mut descriptor = from_template(mandatory, &structure.templates[index], &structure);
        descriptor.active_decode_targets = before.map(|active| active & structure.all_decode_targets());
        if let (Some(chain), Some(first)) = (chain, descriptor.chain_diffs.first_mut()) {
            *first = chain;
        }
        descriptor.structure = brings.then(|| Box::new(structure.clone()));
        let mut bytes = [0; 1024];
        let length = write(&mut bytes, &descriptor, Some(&structure)).unwrap();
        let active = after & structure.all_decode_targets();
        let mask = Mask { active, targets: structure.decode_targets.len() as u8 };
        let mut out = [0; BYTES_MAX];
        if let Some(length) = mask.write(&bytes[..length], &mut out) {
            let expected = Descriptor { active_decode_targets: Some(active), ..descriptor };
            prop_assert_eq!(Descriptor::parse(&out[..length], Some(&structure)), Ok(expected));
        }
    }

    #[test]
    fn any_bytes_take_a_mask_or_none(bytes in vec(any::<u8>(), 0..300), active: u32, targets in 1u8..=32) {
        Mask { active: active & (u32::MAX >> (32 - targets)), targets }.write(&bytes, &mut [0; BYTES_MAX]);
    }

    #[test]
    fn what_is_written_is_read(
        structure in any_structure(), brings: bool, index: usize, frame_number: u16, flags in any::<(bool, bool)>(),
        frame_diffs in proptest::option::of(vec(1u16..=4096, 0..6)), chain in proptest::option::of(any::<u8>()),
        active in proptest::option::of(any::<u32>()),
    ) {
        let index = index % structure.templates.len();
        let template_id = (structure.template_id_offset + index as u8) % 64;
        let mandatory = Mandatory { start_of_frame: flags.0, end_of_frame: flags.1, template_id, frame_number };
        let mut descriptor = from_template(mandatory, &structure.templates[index], &structure);
        descriptor.active_decode_targets = active.map(|active| active & structure.all_decode_targets());
        if let Some(diffs) = frame_diffs {
            descriptor.frame_diffs = diffs.into();
        }
        if let (Some(chain), Some(first)) = (chain, descriptor.chain_diffs.first_mut()) {
            *first = chain;
        }
        if brings {
            descriptor.structure = Some(Box::new(structure.clone()));
        }
        let mut out = [0xEE; 1024];
        let bytes = write(&mut out, &descriptor, Some(&structure)).unwrap();
        if brings && descriptor.active_decode_targets.is_none() {
            descriptor.active_decode_targets = Some(structure.all_decode_targets());
        }
        if bytes <= BYTES_MAX {
            let known = if brings { None } else { Some(&structure) };
            prop_assert_eq!(Descriptor::parse(&out[..bytes], known), Ok(descriptor));
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..300), structure in any_structure()) {
        if let Ok(descriptor) = Descriptor::parse(&bytes, None) {
            let mut out = [0; BYTES_MAX];
            let written = write(&mut out, &descriptor, None).unwrap();
            prop_assert_eq!(Descriptor::parse(&out[..written], None), Ok(descriptor));
        }
        if let Ok(descriptor) = Descriptor::parse(&bytes, Some(&structure)) {
            prop_assert!(write(&mut [0; 1024], &descriptor, Some(&structure)).is_some());
        }
    }
}
