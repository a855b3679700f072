//! The template dependency structure: the frames a stream is made of, each described once (appendix A.8.2 to A.8.4).

use super::{ChainDiffs, FrameDiffs};
use crate::wire::bits::BitReader;

/// Template ids wrap at this number, so a structure has no more templates.
const TEMPLATE_IDS: u8 = 64;
const SPATIAL_LAYERS_MAX: u8 = 4;
const TEMPORAL_LAYERS_MAX: u8 = 8;

/// next_layer_idc: how a template's layer follows from the one before.
pub(super) const SAME_LAYER: u32 = 0;
pub(super) const NEXT_TEMPORAL: u32 = 1;
pub(super) const NEXT_SPATIAL: u32 = 2;
pub(super) const NO_MORE_TEMPLATES: u32 = 3;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Layer {
    /// 0..=3.
    pub spatial: u8,
    /// 0..=7.
    pub temporal: u8,
}

/// What a frame is to one decode target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indication {
    /// Not part of it.
    NotPresent,
    /// Part of it, but nothing refers to it.
    Discardable,
    /// A receiver may switch to the target here.
    Switch,
    /// Needed.
    Required,
}

/// Indications by decode target, two bits for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indications(u64);

impl Indications {
    /// What the frame is to this decode target, 0..=31.
    pub fn at(self, target: usize) -> Indication {
        match self.code(target) {
            0 => Indication::NotPresent,
            1 => Indication::Discardable,
            2 => Indication::Switch,
            _ => Indication::Required,
        }
    }

    pub fn with(self, target: usize, indication: Indication) -> Indications {
        let shift = Self::shift(target);
        Indications(self.0 & !(3 << shift) | (indication as u64) << shift)
    }

    pub(super) fn code(self, target: usize) -> u32 {
        (self.0 >> Self::shift(target)) as u32 & 3
    }

    fn shift(target: usize) -> usize {
        (target & 31) * 2
    }

    pub(super) fn read(bits: &mut BitReader<'_>, targets: u32) -> Option<Indications> {
        let mut codes = 0;
        for target in 0..targets as usize {
            codes |= u64::from(bits.bits(2)?) << Self::shift(target);
        }
        Some(Indications(codes))
    }
}

/// One kind of frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    pub layer: Layer,
    pub indications: Indications,
    pub frame_diffs: FrameDiffs,
    pub chain_diffs: ChainDiffs,
}

/// The frames of a stream and the decode targets made of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Structure {
    /// Id of the first template, 0..=63.
    pub template_id_offset: u8,
    /// 1..=64 of them.
    pub templates: Vec<Template>,
    /// The highest layers of each decode target, 1..=32 of them.
    pub decode_targets: Vec<Layer>,
    /// Number of chains, 0..=32.
    pub chains: u8,
    /// By decode target the chain that protects it; empty without chains.
    pub protected_by: Vec<u8>,
    /// Width and height by spatial layer; empty if not told.
    pub resolutions: Vec<(u32, u32)>,
}

#[cfg(test)]
impl Structure {
    /// Two spatial and two temporal layers. Decode targets, lowest bit first: (0, 0), (0, 1), (1, 0), (1, 1) of them.
    pub fn for_tests() -> Structure {
        let layer = |spatial, temporal| Layer { spatial, temporal };
        let template = |spatial, temporal, switch_at: &[usize], frame_diffs: &[u16]| Template {
            layer: layer(spatial, temporal),
            indications: switch_at.iter().fold(Indications::default(), |i, t| i.with(*t, super::Indication::Switch)),
            frame_diffs: frame_diffs.iter().copied().collect(),
            ..Template::default()
        };
        Structure {
            templates: vec![
                template(0, 0, &[0, 1, 2, 3], &[]),
                template(0, 1, &[1, 3], &[2]),
                template(1, 0, &[2, 3], &[1]),
                template(1, 1, &[3], &[2]),
            ],
            decode_targets: vec![layer(0, 0), layer(0, 1), layer(1, 0), layer(1, 1)],
            ..Structure::default()
        }
    }
}

impl Structure {
    pub fn template(&self, id: u8) -> Option<&Template> {
        let index = (id & (TEMPLATE_IDS - 1)).wrapping_sub(self.template_id_offset) % TEMPLATE_IDS;
        self.templates.get(usize::from(index))
    }

    /// A mask with a bit for each decode target.
    pub fn all_decode_targets(&self) -> u32 {
        u32::MAX >> (32 - self.decode_targets.len().clamp(1, 32))
    }

    pub fn spatial_layers(&self) -> u8 {
        self.templates.iter().map(|template| template.layer.spatial + 1).max().unwrap_or(0)
    }

    pub(super) fn read(bits: &mut BitReader<'_>) -> Option<Structure> {
        let template_id_offset = bits.small(6)?;
        let targets = bits.bits(5)? + 1;
        let mut structure = Structure { template_id_offset, templates: read_layers(bits)?, ..Structure::default() };
        for template in &mut structure.templates {
            template.indications = Indications::read(bits, targets)?;
        }
        for template in &mut structure.templates {
            template.frame_diffs = read_template_diffs(bits)?;
        }
        structure.read_chains(bits, targets)?;
        structure.decode_targets = (0..targets as usize).map(|target| structure.highest_layer(target)).collect();
        if bits.bit()? {
            structure.resolutions = read_resolutions(bits, structure.spatial_layers())?;
        }
        Some(structure)
    }

    fn read_chains(&mut self, bits: &mut BitReader<'_>, targets: u32) -> Option<()> {
        let chains = bits.below(targets + 1)?;
        self.chains = chains as u8;
        if chains == 0 {
            return Some(());
        }
        self.protected_by = (0..targets).map(|_| bits.below(chains).map(|c| c as u8)).collect::<Option<_>>()?;
        for template in &mut self.templates {
            template.chain_diffs = (0..chains).map(|_| bits.small(4)).collect::<Option<_>>()?;
        }
        Some(())
    }

    /// The highest spatial and the highest temporal layer among the frames of a decode target.
    pub(super) fn highest_layer(&self, target: usize) -> Layer {
        let present = self.templates.iter().filter(|t| t.indications.at(target) != Indication::NotPresent);
        present.fold(Layer::default(), |highest, template| Layer {
            spatial: highest.spatial.max(template.layer.spatial),
            temporal: highest.temporal.max(template.layer.temporal),
        })
    }
}

/// The templates with nothing but their layers.
fn read_layers(bits: &mut BitReader<'_>) -> Option<Vec<Template>> {
    let mut templates = Vec::new();
    let mut layer = Layer::default();
    while templates.len() < usize::from(TEMPLATE_IDS) {
        templates.push(Template { layer, ..Template::default() });
        layer = match bits.bits(2)? {
            SAME_LAYER => layer,
            NEXT_TEMPORAL => Layer { temporal: layer.temporal + 1, ..layer },
            NEXT_SPATIAL => Layer { spatial: layer.spatial + 1, temporal: 0 },
            _ => return Some(templates),
        };
        if layer.spatial >= SPATIAL_LAYERS_MAX || layer.temporal >= TEMPORAL_LAYERS_MAX {
            return None;
        }
    }
    None
}

fn read_template_diffs(bits: &mut BitReader<'_>) -> Option<FrameDiffs> {
    let mut diffs = FrameDiffs::new();
    while bits.bit()? {
        diffs.push(bits.bits(4)? as u16 + 1);
    }
    Some(diffs)
}

fn read_resolutions(bits: &mut BitReader<'_>, layers: u8) -> Option<Vec<(u32, u32)>> {
    (0..layers).map(|_| Some((bits.bits(16)? + 1, bits.bits(16)? + 1))).collect()
}
